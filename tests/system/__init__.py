"""Tests that need other tools than `make install` brings. `make test-system` runs them, `make test` does not."""
