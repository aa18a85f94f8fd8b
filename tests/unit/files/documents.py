"""Reads and writes documents in tests, with a function in place of a server."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from latimer.files import ReadOptions, Translated, Unit, open_document

SAME_LANGUAGE = ReadOptions(source_language="en", target_language="en")


def read_units(path: Path, options: ReadOptions = SAME_LANGUAGE, name: str | None = None) -> list[Unit]:
    return list(open_document(path, options, name).units())


def read_texts(path: Path, options: ReadOptions = SAME_LANGUAGE, name: str | None = None) -> list[str]:
    return [unit.text for unit in read_units(path, options, name)]


def translate_file(
    path: Path,
    translate: Callable[[Unit], Translated | str | None] = lambda unit: unit.text,
    options: ReadOptions = SAME_LANGUAGE,
    name: str | None = None,
) -> bytes:
    """Returns the file with translations. `translate`: returns the translation of a unit; None if it failed."""
    document = open_document(path, options, name)
    translations = [
        each if isinstance(each, Translated) else Translated(text=each) for each in map(translate, document.units())
    ]
    target = io.BytesIO()
    left = iter(translations)
    document.write(target, left)
    assert next(left, None) is None, "the document left translations"
    return target.getvalue()


def write_zip(path: Path, members: Mapping[str, str | bytes]) -> Path:
    """Writes a zip archive of members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read_member(data: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return archive.read(name).decode()
