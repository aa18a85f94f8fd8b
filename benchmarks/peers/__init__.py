"""Ours beside the other engines that run the same model: `make bench`."""
