"""Benchmarks: each prints a table, and compares ours with other engines on the same text in one run."""
