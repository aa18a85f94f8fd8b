"""The generated stubs of the contract `latimer.v1`; written by protos/generate.py."""
