"""The C++ of the backends, built where there is a compiler (`pyproject.toml`). Loaded by `backends.marian_native`."""
