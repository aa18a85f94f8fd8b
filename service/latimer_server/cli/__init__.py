"""The command line `latimer-server`: serve and models."""
