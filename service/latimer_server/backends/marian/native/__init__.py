"""The C++ engine of Marian students, built where there is a compiler (`setup.py`) and loaded by `native_engine`."""
