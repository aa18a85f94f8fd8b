"""What of a text must come out of a translation unchanged, and how it is hidden from the model and put back.

`builtin` and `syntaxes` know what to look for, `rules` and `glossary` what a request asks for, `shields` how it is
hidden. Pure.
"""
