"""Which models there are (catalog), their files (store), and those that are loaded (pool)."""
