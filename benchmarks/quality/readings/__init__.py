"""Dashes, headlines with names, names and labels: what the models make of them alone, and what the server does."""
