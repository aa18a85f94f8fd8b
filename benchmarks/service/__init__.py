"""Measures a running server under load: cost of a call, overload, streams, long documents, many models."""
