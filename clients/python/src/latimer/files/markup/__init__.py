"""XML that is changed by position: what is no text of a unit keeps its bytes.

`xml_source` reads a file into elements with their positions, `inline_codes` writes inline elements as short tags of a
unit and reads them back from its translation, `edits` puts replacements into the text of the file, and `xml_file` makes
a document of these.
"""
