"""Warnings on ordinary sentences, beside the verdicts of a reader on the translations."""
