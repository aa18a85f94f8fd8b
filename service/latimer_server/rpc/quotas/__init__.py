"""Quotas of keys: requests and characters in any 60 seconds, and calls at a time; in memory, or in Redis for several
servers."""
