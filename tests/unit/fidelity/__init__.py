"""Tests of the fidelity suite itself."""
