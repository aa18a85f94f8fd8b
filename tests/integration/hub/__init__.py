"""Tests of the source `hub:` against a hub on the loopback interface."""
