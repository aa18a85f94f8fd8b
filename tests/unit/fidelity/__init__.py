"""Tests of the fidelity suite's own invariants."""
