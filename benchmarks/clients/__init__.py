"""Benchmarks of the Python client: batches against a server without models, round trips of documents."""
