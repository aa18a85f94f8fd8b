"""Backends: run a loaded model on a batch of token ids. Each imports its libraries only when a model of its kind
is loaded.
"""
