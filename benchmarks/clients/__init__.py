"""Benchmarks of the Python client's batches, against a server without models."""
