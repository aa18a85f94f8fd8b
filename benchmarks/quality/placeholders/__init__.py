"""Measures stand-ins: the symbols or words that models read in the place of protected placeholders."""
