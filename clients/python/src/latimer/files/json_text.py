"""JSON, JSON Lines and ARB: a unit is a string value. Everything else keeps its bytes.

ARB (Application Resource Bundle, of Flutter) is JSON whose keys with `@` describe the others; its texts are ICU
messages, and `@@locale` is their language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latimer.files.document import FileError, FileFormat, ReadOptions, Unit
from latimer.files.encoding import TextEncoding, find_encoding
from latimer.files.json_scanner import JsonString, escape, escape_character, scan_json
from latimer.files.key_paths import Step, TextChoice, write_path
from latimer.files.lines import read_lines
from latimer.files.message_format import read_icu_text, write_icu_text
from latimer.files.splices import Passage, Record, Source, SplicedDocument, constant, has_letter, replace, whole_file

_ESCAPED_LETTER = re.compile(r"\\u(?!00[0-7])[0-9a-fA-F]{4}")


@dataclass(frozen=True)
class _JsonTexts:
    """The choice of texts in a JSON value, and their form."""

    is_chosen: Callable[[tuple[Step, ...], str], bool]
    syntaxes: tuple[str, ...] = ()

    def passage(self, string: JsonString, place: str, *, ascii_only: bool) -> Passage | None:
        value = string.value
        if not self.is_chosen(string.path, value) or not has_letter(value):
            return None
        text = read_icu_text(value) if "icu" in self.syntaxes else value
        unit = Unit(text=text, place=place, context=write_path(string.path), syntaxes=self.syntaxes)

        def write(translation: str) -> str:
            written = write_icu_text(translation, value) if "icu" in self.syntaxes else translation
            return escape(written, like=string.literal, ascii_only=ascii_only)

        return replace(string.start + 1, string.end - 1, unit, write)


def _read_json(path: Path, options: ReadOptions) -> SplicedDocument:
    choice = TextChoice(options.paths, path)
    texts = _JsonTexts(choice.takes)

    def passages(source: Source) -> Iterator[Passage]:
        ascii_only = _escapes_letters(source.text)
        for string in scan_json(source.text, source.fault):
            passage = texts.passage(string, source.place(string.start), ascii_only=ascii_only)
            if passage:
                yield passage

    return _whole(path, options, passages, choice)


def _read_arb(path: Path, options: ReadOptions) -> SplicedDocument:
    choice = TextChoice(options.paths, path) if options.paths else None

    def is_chosen(place: tuple[Step, ...], value: str) -> bool:
        return not str(place[0]).startswith("@") and (choice is None or choice.takes(place, value))

    texts = _JsonTexts(is_chosen, ("icu",))

    def passages(source: Source) -> Iterator[Passage]:
        ascii_only = _escapes_letters(source.text)
        for string in scan_json(source.text, source.fault):
            if string.path == ("@@locale",):
                language = options.target_language.replace("-", "_")
                yield constant(string.start + 1, string.end - 1, language)
                continue
            passage = texts.passage(string, source.place(string.start), ascii_only=ascii_only) if string.path else None
            if passage:
                yield passage

    return _whole(path, options, passages, choice)


def _read_json_lines(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    choice = TextChoice(options.paths, path)
    texts = _JsonTexts(choice.takes)
    return SplicedDocument(path, encoding, partial(_lines, path, encoding, texts), escape_character, choice)


def _lines(path: Path, encoding: TextEncoding, texts: _JsonTexts) -> Iterator[Record]:
    for number, line in enumerate(read_lines(path, encoding), start=1):
        yield Record(line.text + line.end, line.raw, number, _line_passages(path, line.text, number, texts))


def _line_passages(path: Path, text: str, number: int, texts: _JsonTexts) -> Sequence[Passage]:
    place = f"line {number}"
    if not text.strip():
        return ()

    def fault(offset: int, reason: str, cure: str) -> FileError:
        return FileError(path, f"{reason} (column {offset + 1})", place=place, cure=cure)

    ascii_only = _escapes_letters(text)
    found = (texts.passage(each, place, ascii_only=ascii_only) for each in scan_json(text, fault))
    return [passage for passage in found if passage]


def _escapes_letters(text: str) -> bool:
    """Returns True if a file writes all characters outside of ASCII as escapes, as Python's `json` does."""
    return text.isascii() and _ESCAPED_LETTER.search(text) is not None


def _whole(
    path: Path, options: ReadOptions, passages: Callable[[Source], Iterator[Passage]], choice: TextChoice | None
) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, passages), escape_character, choice)


JSON = FileFormat(name="json", suffixes=(".json",), read=_read_json)
JSON_LINES = FileFormat(name="jsonl", suffixes=(".jsonl", ".ndjson"), read=_read_json_lines)
ARB = FileFormat(name="arb", suffixes=(".arb",), read=_read_arb)
