"""Backends: each loads one kind of model, and runs it on batches of token ids or on the sentences of a document.

A backend imports its libraries only when it loads a model.
"""
