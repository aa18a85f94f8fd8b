"""PDF: the text of each page, for summaries. A PDF is not written again, since its text has no paragraphs to replace.

Needs the extra `[pdf]` (pypdf).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from latimer.files.document import FileError, FileFormat, ReadOptions, Translated, Unit


@dataclass(frozen=True)
class _PdfDocument:
    path: Path

    def units(self) -> Iterator[Unit]:
        """Yields the text of each page that has text."""
        try:
            from pypdf import PdfReader  # an optional dependency
            from pypdf.errors import PyPdfError
        except ImportError as error:
            raise FileError(self.path, "reading PDF needs pypdf", cure="run pip install pypdf") from error
        found = False
        try:
            reader = PdfReader(self.path)
            if reader.is_encrypted and not reader.decrypt(""):
                raise FileError(self.path, "this PDF has a password", cure="save it without one")
            for number, page in enumerate(reader.pages, start=1):
                text = page.extract_text().strip()
                if text:
                    found = True
                    yield Unit(text=text, place=f"page {number}")
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from error
        except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FileError(
                self.path, f"this PDF cannot be read ({type(error).__name__})", cure="save it again"
            ) from error
        if not found:
            raise FileError(self.path, "this PDF has no text, only pictures", cure="run it through OCR first")

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        """Raises `FileError`."""
        del target, translations
        raise FileError(
            self.path,
            "PDF is read for summaries and never written",
            cure="translate the document that it was made from, such as DOCX or HTML",
        )


def _read(path: Path, options: ReadOptions) -> _PdfDocument:
    del options
    return _PdfDocument(path)


FORMAT = FileFormat(name="pdf", suffixes=(".pdf",), read=_read, translates=False)
