"""Unit tests of metrics, monitors and log lines."""
