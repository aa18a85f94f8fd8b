"""Translation of files without a server: a function takes the place of the model."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict, Unpack

from latimer.files import Document, ReadOptions, Translated, Unit, open_document


class Options(TypedDict, total=False):
    """The keywords of `ReadOptions`, and the name of the format."""

    name: str | None
    source_language: str | None
    target_language: str
    encoding: str | None
    paths: tuple[str, ...]
    columns: tuple[str, ...]
    header: bool


def open_file(path: Path, **options: Unpack[Options]) -> Document:
    """Opens a file that is translated from English to English unless the options say otherwise."""
    read_options = ReadOptions(
        source_language=options.get("source_language", "en"),
        target_language=options.get("target_language", "en"),
        encoding=options.get("encoding"),
        paths=options.get("paths", ()),
        columns=options.get("columns", ()),
        header=options.get("header", True),
    )
    return open_document(path, read_options, options.get("name"))


def make_file(folder: Path, name: str, content: str | bytes) -> Path:
    """Writes a file and returns its path. Text is written as UTF-8 with its own line ends."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_units(path: Path, **options: Unpack[Options]) -> list[Unit]:
    """Returns the units of a file."""
    return list(open_file(path, **options).units())


def read_texts(path: Path, **options: Unpack[Options]) -> list[str]:
    """Returns the texts of the units of a file."""
    return [unit.text for unit in read_units(path, **options)]


def translate_file(
    path: Path,
    change: Callable[[str], str | None] = str,
    *,
    flags: tuple[str, ...] = (),
    **options: Unpack[Options],
) -> bytes:
    """Returns the file with each text changed by a function, which returns None for a unit that fails.

    The default is the identity. `flags`: those of each translation.
    """
    document = open_file(path, **options)
    target = io.BytesIO()
    translations: Iterator[Translated] = (
        Translated(text=change(unit.text), flags=flags) for unit in list(document.units())
    )
    document.write(target, translations)
    assert next(translations, None) is None, "write takes every translation"
    return target.getvalue()
