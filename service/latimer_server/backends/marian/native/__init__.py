"""The C++ engine of Marian students. `setup.py` builds it if a compiler is present, and `native_engine` loads it."""
