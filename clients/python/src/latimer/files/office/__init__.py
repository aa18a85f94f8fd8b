"""Documents of office software: Office Open XML (ECMA-376) and OpenDocument (ISO/IEC 26300).

The runs of a paragraph are joined into one unit. A run whose formatting differs from most of the paragraph is a pair of
short tags in it; see `latimer.files.markup.inline_codes`.
"""
