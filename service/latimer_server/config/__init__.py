"""Settings of the server, and the cores and memory that its container allows."""
