"""Figures of a text: their notation in a language, their currency signs, and their repair in a translation."""
