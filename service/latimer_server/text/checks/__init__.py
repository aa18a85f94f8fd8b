"""Checks of a translation against its source: copied text, length, numbers, repetition. Pure functions."""
