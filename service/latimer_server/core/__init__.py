"""Core types that all layers share: errors, flags, languages, spans, decoding options and usage.

Imports no other package of the server.
"""
