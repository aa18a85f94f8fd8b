"""Tests of the pure parts of `make bench`."""
