"""Logging of the server."""
