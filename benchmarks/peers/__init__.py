"""Compares the server with other engines that run the same model: `make bench`."""
