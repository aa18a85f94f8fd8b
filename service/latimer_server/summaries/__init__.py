"""How summaries are made: what is read, what is chosen, what is generated, and how it is put together."""
