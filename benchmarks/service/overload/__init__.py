"""Benchmarks of a server with more calls than it can answer, one module for each shape of load."""
