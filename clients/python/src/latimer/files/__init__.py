"""Documents: files whose text is translated while everything else stays as it is. Needs the extra `[files]`.

    from latimer.files import ReadOptions, Translated, open_document

    document = open_document(Path("menu.po"), ReadOptions(source_language="en", target_language="pt"))
    texts = [unit.text for unit in document.units()]
    with open("menu.pt.po", "wb") as target:
        document.write(target, iter([Translated(text=...) for text in texts]))

A format is one module that has `read`; `formats` is the table of all of them. A format knows no server, and nothing of
the batch that translates its units.
"""

from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.formats import FORMATS, find_format, open_document
from latimer.files.markup.inline_codes import keeps_codes
from latimer.files.splices import find_left_out

__all__ = [
    "FORMATS",
    "Document",
    "FileError",
    "FileFormat",
    "ReadOptions",
    "Translated",
    "Unit",
    "find_format",
    "find_left_out",
    "keeps_codes",
    "open_document",
]
