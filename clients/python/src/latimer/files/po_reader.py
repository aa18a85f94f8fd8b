"""A reader of PO files (gettext manual, "The Format of PO Files") that knows the place of every string.

polib reads the same entries, but it gives no places, takes a string without its closing quotation mark, and divides
lines at characters such as U+2028; see docs/decisions/0077-own-readers-of-positions.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from latimer.files.splices import Source

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")
_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d+)\])?\s*(?=\")")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*$')
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass
class PoString:
    """A string of an entry. `start`: of its keyword. `first`: of its first literal. `end`: of its last literal."""

    start: int
    first: int
    end: int
    value: str
    lines: int = 1


@dataclass
class PoEntry:
    """An entry. `start`: of its first line. `flags_end`: of the last line with flags; -1 without one. `body`: of the
    first line that is neither a comment nor a flag, or of its previous msgid (`#|`)."""

    start: int
    body: int = -1
    flags: list[str] = field(default_factory=list)
    flags_end: int = -1
    context: PoString | None = None
    source: PoString | None = None
    plural: PoString | None = None
    targets: dict[int, PoString] = field(default_factory=dict)

    @property
    def is_header(self) -> bool:
        """True for the entry with an empty msgid, whose msgstr describes the file."""
        return self.source is not None and self.source.value == "" and self.context is None


def read_entries(source: Source) -> Iterator[PoEntry]:
    """Yields the entries that are not obsolete. Raises `FileError` with the line of a syntax error."""
    return _Reader(source).read()


def unescape(literal: str) -> str:
    """Returns the text of a literal without its quotation marks."""
    if "\\" not in literal:
        return literal
    return _ESCAPE.sub(_unescape_one, literal)


def _unescape_one(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 8) & 0xFF)
    if match[2]:
        return chr(int(match[2], 16))
    return _SIMPLE.get(match[3], match[3])


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._entry: PoEntry | None = None
        self._string: PoString | None = None

    def read(self) -> Iterator[PoEntry]:
        position, text = 0, self._source.text
        while position < len(text):
            match = _LINE.match(text, position)
            line = match.group() if match else ""
            finished = self._take(line.strip(), position + len(line) - len(line.lstrip()), position)
            if finished:
                yield finished
            position += len(line)
        last = self._finish(position)
        if last:
            yield last

    def _take(self, line: str, offset: int, start: int) -> PoEntry | None:
        """Takes a line. Returns the entry before it if it starts another."""
        if not line:
            self._string = None
            if self._entry and not self._entry.flags and self._entry.body < 0:
                self._entry.start = -1  # comments before a blank line stay apart from a comment that is added
            return None
        if line.startswith('"'):
            self._append(line, offset)
            return None
        if line.startswith("#~"):
            return self._finish(offset)
        finished = None
        is_comment = line.startswith("#")
        if self._entry and (self._entry.targets and (is_comment or not line.startswith("msgstr"))):
            finished = self._finish(offset)
        if self._entry is None:
            self._entry = PoEntry(start)
        elif self._entry.start < 0:
            self._entry.start = start
        if is_comment:
            self._take_comment(line, offset, start)
        else:
            self._take_keyword(line, offset, start)
        return finished

    def _take_comment(self, line: str, offset: int, start: int) -> None:
        entry = self._current()
        self._string = None
        if entry.source or entry.context:
            raise self._source.fault(offset, "a comment stands between msgid and msgstr", "check it with msgfmt -c")
        if line.startswith("#,"):
            entry.flags += [flag.strip() for flag in line[2:].split(",")]
            entry.flags_end = offset + len(line)
        elif line.startswith("#|") and entry.body < 0:
            entry.body = start

    def _take_keyword(self, line: str, offset: int, start: int) -> None:
        match = _KEYWORD.match(line)
        if match is None:
            raise self._source.fault(offset, "this is no line of a PO file", "check it with msgfmt -c")
        entry = self._current()
        keyword, index = match[1], match[2]
        string = PoString(offset, offset + match.end(), offset + len(line), self._literal(line[match.end() :], offset))
        if entry.body < 0:
            entry.body = start
        self._string = string
        if keyword == "msgctxt" and not entry.context and not entry.source:
            entry.context = string
        elif keyword == "msgid" and not entry.source:
            entry.source = string
        elif keyword == "msgid_plural" and entry.source and not entry.plural:
            entry.plural = string
        elif keyword == "msgstr" and entry.source and (index is None) == (entry.plural is None):
            number = int(index or 0)
            if number in entry.targets:
                raise self._source.fault(offset, f"{keyword} comes twice", "check it with msgfmt -c")
            entry.targets[number] = string
        else:
            raise self._source.fault(
                offset, f"{line[: match.end()].strip()} is not expected here", "check it with msgfmt -c"
            )

    def _append(self, line: str, offset: int) -> None:
        if self._string is None:
            raise self._source.fault(offset, "a string stands without msgid or msgstr", "check it with msgfmt -c")
        self._string.value += self._literal(line, offset)
        self._string.end = offset + len(line)
        self._string.lines += 1

    def _literal(self, written: str, offset: int) -> str:
        match = _STRING.match(written)
        if match is None:
            raise self._source.fault(
                offset, "a string is not closed, or has a quotation mark without a backslash", r"write it as \""
            )
        return unescape(match[1])

    def _current(self) -> PoEntry:
        if self._entry is None:
            self._entry = PoEntry(0)
        return self._entry

    def _finish(self, offset: int) -> PoEntry | None:
        """Ends the entry. Comments at the end of a file are no entry."""
        entry, self._entry, self._string = self._entry, None, None
        if entry is None or (entry.source is None and entry.context is None):
            return None
        if entry.source is None or not entry.targets:
            missing = "msgid" if entry.source is None else "msgstr"
            raise self._source.fault(offset, f"the entry before has no {missing}", "check that the file is whole")
        return entry
