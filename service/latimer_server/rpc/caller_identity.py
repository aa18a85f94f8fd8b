"""Identifies the callers without credentials, so that admission and the model queues can treat callers fairly."""

from __future__ import annotations


def identify_caller(peer: str) -> str:
    """Returns the identity of a caller without credentials: all calls of one connection have the same.

    A credential that is not checked plays no part. It would let one client pose as many callers and get the share of
    each.
    """
    return f"connection:{peer}"
