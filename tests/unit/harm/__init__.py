"""Tests of the harm report."""
