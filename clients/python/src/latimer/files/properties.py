r"""Java properties (java.util.Properties): a unit is a value. Keys, comments and blank lines stay.

A file that is not UTF-8 is ISO 8859-1, and one of ASCII gets `\uXXXX` for other characters, which every Java reads.
Values with `{0}` are patterns of MessageFormat, see `message_format`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from latimer.files.catalogs.access_keys import Label, read_label
from latimer.files.document import FileError, FileFormat, ReadOptions, Unit
from latimer.files.encoding import TextEncoding, find_encoding
from latimer.files.json_scanner import escape_character
from latimer.files.message_format import Message, read_message
from latimer.files.splices import Passage, Source, SplicedDocument, has_letter, replace, whole_file

# A logical line: a key, and a value that goes on after a backslash at the end of a line.
_ENTRY = re.compile(
    r"[ \t\f]*(?:(?P<comment>[#!][^\r\n]*)|"
    r"(?P<key>(?:\\(?:\r\n|.)|[^\\\s=:])*)"
    r"[ \t\f]*(?:\\(?:\r\n|\n|\r)[ \t\f]*)?(?P<sign>[=:]?)[ \t\f]*(?:\\(?:\r\n|\n|\r)[ \t\f]*)?"
    r"(?P<value>(?:\\(?:\r\n|.)|[^\\\r\n])*\\?))(?:\r\n|\n|\r|$)",
    re.DOTALL,
)
_CONTINUATION = re.compile(r"(\\\\)|\\(?:\r\n|\n|\r)[ \t\f]*")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BAD_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u(?![0-9a-fA-F]{4})")
_SIMPLE = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ARGUMENT = re.compile(r"\{\d+[^{}]*\}")
_PRINTF = re.compile(r"%(?:\d+\$)?[-+#0 ,(]*\d*(?:\.\d+)?[a-zA-Z]")


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    try:
        encoding = find_encoding(path, options.encoding, options.source_language)
    except FileError:
        encoding = TextEncoding("latin_1")
    if options.encoding is None and not encoding.codec.startswith("utf"):
        encoding = TextEncoding("latin_1")
    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, _passages), escape_character)


def _passages(source: Source) -> Iterator[Passage]:
    position, text = 0, source.text
    ascii_only = text.isascii()
    while position < len(text):
        match = _ENTRY.match(text, position)
        if match is None or match.end() == position:
            return
        value = match["value"]
        if match["comment"] is None and value:
            bad = _BAD_ESCAPE.search(value)
            if bad:
                raise source.fault(
                    match.start("value") + bad.start(), r"\u needs four hexadecimal digits", r"write \\u for itself"
                )
            decoded = _decode(value)
            message = read_message(decoded)
            label = read_label(message.text if message else decoded)
            if message.has_words if message else has_letter(decoded):
                unit = Unit(
                    text=label.text,
                    place=source.place(match.start()),
                    context=_decode(match["key"]),
                    syntaxes=_find_syntaxes(decoded, message),
                )
                # A colon or equals sign at the beginning of a value ends the key, unless it is escaped or follows one.
                escaped = " " if match["sign"] else " :="
                write = partial(
                    _encode, like=value, label=label, message=message, ascii_only=ascii_only, escaped_at_start=escaped
                )
                yield replace(match.start("value"), match.end("value"), unit, write)
        position = match.end()


def _find_syntaxes(value: str, message: Message | None) -> tuple[str, ...]:
    is_icu = message is not None or _ARGUMENT.search(value)
    return (*(("icu",) if is_icu else ()), *(("printf",) if _PRINTF.search(value) else ()))


def _decode(written: str) -> str:
    joined = _CONTINUATION.sub(lambda match: match[1] or "", written)
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _SIMPLE.get(match[2], match[2]), joined)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _encode(
    text: str, *, like: str, label: Label, message: Message | None, ascii_only: bool, escaped_at_start: str
) -> str:
    """Returns the written form of a value, on lines like those of the value that it replaces."""
    text = label.write(text)
    if message is not None:
        text = message.write(text)
    written = (
        text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r").replace("\f", "\\f")
    )
    if written.startswith(tuple(escaped_at_start)):
        written = "\\" + written
    if ascii_only:
        written = re.sub(r"[^\x00-\x7f]", lambda match: escape_character(match[0]), written)
    breaks = re.search(r"\\(\r\n|\n|\r)([ \t\f]*)", like)
    if breaks is None:
        return written
    width = max(len(line) for line in re.split(r"\r\n|\n|\r", like))
    lines, line = [], ""
    for word in re.findall(r"\S*\s*", written):
        if line and len(line) + len(word) > width:
            lines.append(line)
            line = ""
        line += word
    return f"\\{breaks[1]}{breaks[2]}".join([*lines, line])


FORMAT = FileFormat(name="properties", suffixes=(".properties",), read=_read)
