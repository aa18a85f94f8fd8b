"""Summarization: ranks and extracts sentences, generates text with a model, and composes summaries."""
