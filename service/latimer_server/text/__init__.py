"""Keeping text whole: pure functions over strings, without models, sockets or settings."""
