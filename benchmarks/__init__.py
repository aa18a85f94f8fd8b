"""Measurements that print a table: peers and we on the same text in one run."""
