"""The source `hub:` against a hub on the loopback."""
