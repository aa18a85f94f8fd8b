"""Markdown (CommonMark): a unit is a block between blank lines, whose marks the server keeps.

Front matter, fenced code and link definitions stay. A block that uses link definitions gets them after it, since the
server would not know its links without them, and they are taken off its translation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latimer.files.document import FileFormat, ReadOptions, Unit
from latimer.files.encoding import find_encoding
from latimer.files.markdown_marks import FENCE, RAW_START, Piece, divide_at_marks, raw_end
from latimer.files.splices import Passage, Source, SplicedDocument, has_letter, replace, whole_file
from latimer.files.subtitles.text_lines import TextLine, split_lines, split_texts

_DEFINITION = re.compile(r" {0,3}\[(?!\^)((?:[^\[\]\\]|\\.)+)\]:[ \t]*\S")
_LABEL = re.compile(r"\[((?:[^\[\]\\]|\\.)+)\]")


@dataclass(frozen=True)
class _Block:
    start: int
    end: int
    is_text: bool


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, _passages))


def _passages(source: Source) -> Iterator[Passage]:
    text = source.text
    blocks = list(_divide(text))
    line_end = source.line_end
    definitions = {
        _normalize(match[1]): line.text.strip()
        for block in blocks
        for line in split_lines(text[block.start : block.end])
        if block.is_text and (match := _DEFINITION.match(line.text))
    }
    for block in blocks:
        written = text[block.start : block.end]
        if not block.is_text or not has_letter(written):
            continue
        if all(_DEFINITION.match(line.text) for line in split_lines(written)):
            continue
        pieces = divide_at_marks(list(split_lines(written)))
        for piece in [Piece(0, len(written), written)] if pieces is None else pieces:
            if not has_letter(piece.text):
                continue
            tail = _used_definitions(piece.text, definitions)
            start, end = block.start + piece.start, block.start + piece.end
            unit = Unit(text=piece.text + tail, place=source.place(start), form="markdown")
            write = partial(_without_tail, tail=tail, source=piece.text)
            yield replace(start, end, unit, partial(_indent, write=write, piece=piece, line_end=line_end))


def _used_definitions(text: str, definitions: Mapping[str, str]) -> str:
    labels = dict.fromkeys(_normalize(label) for label in _LABEL.findall(text))
    own = {_normalize(match[1]) for line in split_lines(text) if (match := _DEFINITION.match(line.text))}
    used = [definitions[label] for label in labels if label in definitions and label not in own]
    return "\n\n" + "\n".join(used) if used else ""


def _indent(text: str, *, write: Callable[[str], str], piece: Piece, line_end: str) -> str:
    """Returns the source of a translation, with the indentation of its piece."""
    if piece.forbidden:
        is_balanced = text.count("[") == text.count("]") and text.find("[") <= text.find("]")
        forbidden = piece.forbidden.strip("[]") if is_balanced else piece.forbidden
        return " ".join(text.translate(dict.fromkeys(map(ord, forbidden), " ")).split())
    first, *others = split_texts(write(text)) or [""]
    return line_end.join([first, *(piece.indent + line if line.strip() else line for line in others)])


def _without_tail(text: str, *, tail: str, source: str) -> str:
    """Takes the definitions off a translation; returns the source if they cannot be found in it."""
    if not tail:
        return text
    label = tail[: tail.index("]:") + 2]
    place = text.rfind(label)
    return text[:place] if place >= 0 else source


def _normalize(label: str) -> str:
    return " ".join(label.lower().split())


def _divide(text: str) -> Iterator[_Block]:
    """Yields the blocks. A line that is indented goes on with the block before, as in a list."""
    lines = list(split_lines(text))
    position = _front_matter(lines)
    held: list[TextLine] = []
    until: re.Pattern[str] | None = None  # closes the raw block that is open
    started_raw = False
    for line in lines[position:]:
        blank = not line.text.strip()
        if until is None and not blank and held and not held[-1].text.strip() and not line.text[0].isspace():
            yield from _block(held, is_text=not started_raw)
            held = []
        if not held and blank and until is None:
            continue
        opened = until is None and not blank
        if opened:
            until = raw_end(line.text)
            if not held:
                started_raw = until is not None
            if until is not None and until.search(line.text, len(line.text) if FENCE.match(line.text) else 0):
                until = None
        held.append(line)
        if until is not None and not opened and until.search(line.text):
            until = None
            if started_raw and _is_raw(held):
                yield from _block(held, is_text=False)
                held, started_raw = [], False
    if held:
        yield from _block(held, is_text=not (started_raw and _is_raw(held)) and not (started_raw and until is not None))


def _is_raw(held: list[TextLine]) -> bool:
    return FENCE.match(held[0].text) is not None or RAW_START.match(held[0].text) is not None


def _front_matter(lines: list[TextLine]) -> int:
    """Returns the number of lines of YAML or TOML at the start."""
    if not lines or lines[0].text.rstrip() not in ("---", "+++"):
        return 0
    ends = ("---", "...") if lines[0].text.startswith("-") else ("+++",)
    return next((place + 1 for place, line in enumerate(lines[1:], start=1) if line.text.rstrip() in ends), 0)


def _block(held: list[TextLine], *, is_text: bool) -> Iterator[_Block]:
    last = next((line for line in reversed(held) if line.text.strip()), None)
    if last is not None:
        yield _Block(held[0].start, last.start + len(last.text), is_text)


FORMAT = FileFormat(name="markdown", suffixes=(".md", ".markdown", ".mdown"), read=_read)
