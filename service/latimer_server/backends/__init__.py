"""Backends: run a loaded model on a batch of token ids. Each backend imports its libraries only when it loads a
model.
"""
