"""Measures single parts in isolation: matrix products, operators, backends, the time inside a student."""
