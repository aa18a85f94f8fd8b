"""YAML: a unit is a string value. Comments, anchors, keys, quoting styles and block scalars stay.

A file of Rails' i18n, whose only top key is the source language, gets the target language there.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import ScalarEvent

from latimer.files.document import FileFormat, ReadOptions, Unit
from latimer.files.encoding import find_encoding
from latimer.files.key_paths import TextChoice, write_path
from latimer.files.splices import (
    Passage,
    Source,
    SplicedDocument,
    constant,
    find_line_end,
    has_letter,
    replace,
    whole_file,
)
from latimer.files.yaml_reader import YamlScalar, is_text, parse, read_scalars

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*$")
# Characters that a double-quoted scalar has to escape (YAML 1.2, 5.1 and 5.7).
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]')
_NAMES = {
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\u2028": "\\L",
    "\u2029": "\\P",
}
# Plain scalars that parsers of YAML 1.1 and 1.2 may read in different ways.
_UNSAFE = re.compile(r"^[\s?:,\[\]{}#&*!|>'\"%@`-]|[:?](?:\s|$)|\s#|\s$|^$")
_UNSAFE_IN_FLOW = re.compile(r"[\[\]{},:]")
_BLOCK = re.compile(r"(?P<header>[|>][^\r\n]*(?:\r\n|\n|\r))(?P<lead>(?:[ \t]*(?:\r\n|\n|\r))*)(?P<body>.*)", re.DOTALL)


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    choice = TextChoice(options.paths, path)

    def passages(source: Source) -> Iterator[Passage]:
        scalars = read_scalars(source)
        language = _language_key(scalars, options)
        for scalar in scalars:
            if scalar is language:
                new = options.target_language
                yield constant(scalar.start, scalar.end, new if is_text(new) else f'"{new}"')
            elif not scalar.is_key and choice.takes(scalar.path, scalar.value) and has_letter(scalar.value):
                yield _passage(scalar, source)

    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, passages), choice=choice)


def _language_key(scalars: list[YamlScalar], options: ReadOptions) -> YamlScalar | None:
    """Returns the only top key if it is the source language, or any language if that is not known."""
    top = [scalar for scalar in scalars if scalar.is_key and len(scalar.path) == 1]
    if len(top) != 1 or not any(len(scalar.path) > 1 for scalar in scalars):
        return None
    key, source = top[0].value.replace("_", "-").lower(), (options.source_language or "").replace("_", "-").lower()
    is_language = key.split("-")[0] == source.split("-")[0] if source else _LANGUAGE.match(top[0].value) is not None
    return top[0] if is_language and key != options.target_language.replace("_", "-").lower() else None


def _passage(scalar: YamlScalar, source: Source) -> Passage:
    place, context = source.place(scalar.start), write_path(scalar.path)
    written = source.text[scalar.start : scalar.end]
    if scalar.style in ("|", ">"):
        unit = Unit(text=scalar.value.strip("\n"), place=place, context=context)
        body = written.rstrip(" \t\r\n")
        return replace(scalar.start, scalar.start + len(body), unit, partial(_write_block, body, scalar))
    unit = Unit(text=scalar.value, place=place, context=context)
    return replace(scalar.start, scalar.end, unit, partial(_write_flow, scalar))


def _write_flow(scalar: YamlScalar, text: str) -> str:
    """Returns a scalar in the style of the source if that can hold the text, else in double quotes."""
    bare = text.replace('"', "").replace("\\", "")
    is_printable = _ESCAPED.search(bare) is None
    if scalar.style == "'" and is_printable:
        return "'" + text.replace("'", "''") + "'"
    if scalar.style == "" and is_printable and is_text(text) and not _UNSAFE.search(text):
        if not scalar.is_flow and _reads_as(f"k: {text}\n", text):
            return text
        if scalar.is_flow and not _UNSAFE_IN_FLOW.search(text) and _reads_as(f"- [{text}]\n", text):
            return text
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _NAMES.get(match[0], f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _write_block(body: str, scalar: YamlScalar, text: str) -> str:
    """Returns a block scalar with the header and indentation of the source.

    A folded scalar is wrapped at the width of the source; if it does not read as the text then, it is literal.
    """
    match = _BLOCK.match(body)
    if match is None:
        return body
    line_end = find_line_end(match["header"])
    lines = match["body"].split(line_end)
    first = scalar.value.lstrip("\n")
    spaces = len(lines[0]) - len(lines[0].lstrip(" ")) - (len(first) - len(first.lstrip(" ")))
    indent = " " * max(spaces, 1)
    text = text.strip("\n") if first.startswith(" ") else text.strip("\n").lstrip(" ")
    header, lead = match["header"], match["lead"]
    literal = line_end.join(indent + line if line else "" for line in text.split("\n"))
    if scalar.style == "|":
        return header + lead + literal
    width = max(max(map(len, lines)), 20)
    folded = (line_end * 2).join(
        line_end.join(
            textwrap.wrap(
                line,
                width,
                initial_indent=indent,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
                expand_tabs=False,
            )
        )
        for line in text.split("\n")
    )
    if _reads_as("k: " + header + folded + "\n", text):
        return header + lead + folded
    return "|" + header[1:] + lead + literal


def _reads_as(document: str, text: str) -> bool:
    try:
        values = [str(event.value) for event in parse(document) if isinstance(event, ScalarEvent)]
    except (YAMLError, ValueError):
        return False
    return bool(values) and values[-1].rstrip("\n") == text and len(values) <= 2


FORMAT = FileFormat(name="yaml", suffixes=(".yaml", ".yml"), read=_read)
