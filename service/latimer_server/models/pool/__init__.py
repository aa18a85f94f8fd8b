"""The model pool: loads models on demand within a memory budget, and evicts the least recently used."""
