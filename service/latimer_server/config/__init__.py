"""Configuration: the server's settings, and the cores and memory that the machine or container provides."""
