"""The C++ of the n-gram scorer. `setup.py` builds it if a compiler is present, and `scorer` loads it."""
