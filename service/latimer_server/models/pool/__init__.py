"""The pool: loads models on demand within a memory budget and unloads the least recently used."""
