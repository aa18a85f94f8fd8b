"""Fidelity suite: sends difficult inputs through a real server and checks invariants on each answer."""
