"""Collects the text and the marks of one block while a format's parser goes through it.

Pairs what opens with what closes, keeps untouched elements whole and trims what stands round the text. Knows no
format; all its work is linear in what it is given, however deep that nests.
"""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import category

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup.document import OBJECT, Block, Mark, MarkKind, OffsetRun, TextFormat


@dataclass
class _Item:
    """A stretch of text (`kind` None) or a mark."""

    start: int
    end: int
    text: str = ""
    kind: MarkKind | None = None
    name: str = ""
    opaque: bool = False
    silent: bool = False  # says nothing: an image, a comment; not code, which a sentence is about
    breaks_line: bool = False
    written: str | None = None
    partner: int | None = None

    @property
    def is_blank(self) -> bool:
        """Whether no reader would miss it at the edge of a block: white space, or an atom that says nothing."""
        return self.silent if self.kind is MarkKind.ATOM else self.kind is None and not self.text.strip()


class BlockBuilder:
    """What a parser tells of a source, as blocks; `finish_block` ends each."""

    def __init__(self, source: str, text_format: TextFormat) -> None:
        self.blocks: list[Block] = []
        self._source = source
        self._format = text_format
        self._items: list[_Item] = []
        self._open: list[int] = []  # items that opened and have not closed
        self._open_by_name: dict[str, list[int]] = {}
        self._barriers: list[int] = []  # delimiters that are open; a tag does not pair across one

    def add_text(self, start: int, end: int, text: str | None = None) -> None:
        """Text of the source, or what it stands for (an entity)."""
        literal = text is None
        value = self._source[start:end] if text is None else text
        if OBJECT not in value:
            if value:
                self._items.append(_Item(start, end, value))
        elif literal:
            for index, part in enumerate(value.split(OBJECT)):
                if index:
                    self.add_atom(start, start + 1)
                    start += 1
                if part:
                    self._items.append(_Item(start, start + len(part), part))
                start += len(part)
        else:
            self.add_atom(start, end)

    def add_atom(self, start: int, end: int, *, silent: bool = False, breaks_line: bool = False) -> None:
        """What must come out as it is. `silent`: left out of the block when no text stands before or after it."""
        item = _Item(start, end, OBJECT, MarkKind.ATOM, silent=silent or breaks_line, breaks_line=breaks_line)
        self._items.append(item)

    def open_mark(self, start: int, end: int, name: str, *, opaque: bool = False, barrier: bool = False) -> int:
        """What wraps the text behind it until `name` closes; gives its number for `close_barrier`.

        `opaque`: when it closes, all of it becomes one atom. `barrier`: a delimiter that `close_barrier` closes; no tag
        can pair across it.
        """
        number = len(self._items)
        self._items.append(_Item(start, end, kind=MarkKind.OPEN, name=name, opaque=opaque))
        self._open.append(number)
        if barrier:
            self._barriers.append(number)
        else:
            self._open_by_name.setdefault(name, []).append(number)
        return number

    def close_mark(self, start: int, end: int, name: str) -> None:
        """The end of the nearest `name` that is open; what opened in between stays without a partner."""
        opened = self._open_by_name.get(name, [])
        if not opened or (self._barriers and opened[-1] < self._barriers[-1]):
            self._items.append(_Item(start, end, kind=MarkKind.CLOSE, name=name))
            return
        self._close(opened[-1], _Item(start, end, kind=MarkKind.CLOSE, name=name))

    def close_barrier(self, number: int, start: int, end: int, written: str | None = None) -> None:
        """The end of the last delimiter that is open, to which `open_mark` gave this number."""
        self._barriers.pop()
        self._close(number, _Item(start, end, kind=MarkKind.CLOSE, written=written))

    def finish_block(self, *, in_table: bool = False) -> None:
        """Ends the block; one without text leaves nothing behind."""
        items, first, last = self._items, 0, len(self._items) - 1
        self._items, self._open, self._open_by_name, self._barriers = [], [], {}, []
        first, last = _trim_items(items, first, last)
        if any(item.kind is None and item.text.strip() for item in items[first : last + 1]):
            self.blocks.append(self._build(items, first, last, in_table=in_table))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added since the last block."""
        return not self._items

    def extend_last(self, end: int) -> None:
        """Lets what was added last reach up to `end` in the source: the rest of a line break, its indentation."""
        if self._items:
            self._items[-1].end = end

    def _close(self, number: int, item: _Item) -> None:
        opener = self._items[number]
        while self._open[-1] != number:
            left = self._open.pop()
            self._forget(left)
        self._open.pop()
        self._forget(number)
        if opener.opaque:
            del self._items[number:]
            self.add_atom(opener.start, item.end)
            return
        opener.partner, item.partner = len(self._items), number
        self._items.append(item)

    def _forget(self, number: int) -> None:
        named = self._open_by_name.get(self._items[number].name)
        if named and named[-1] == number:
            named.pop()

    def _build(self, items: list[_Item], first: int, last: int, *, in_table: bool) -> Block:
        marks: list[Mark] = []
        runs: list[OffsetRun] = []
        spellings: dict[str, str] = {}
        numbers: dict[int, int] = {}  # of items that are marks, in the marks
        parts: list[str] = []
        offset = 0
        for number in range(first, last + 1):
            item = items[number]
            if item.kind is not None:
                numbers[number] = len(marks)
                partner = item.partner if item.partner is not None and first <= item.partner <= last else None
                written = self._source[item.start : item.end] if item.written is None else item.written
                span = TextSpan(item.start, item.end)
                marks.append(Mark(offset, span, item.kind, partner, written, item.breaks_line))
            if item.text:
                self._append_piece(runs, OffsetRun(offset, offset + len(item.text), item.start, item.end))
                parts.append(item.text)
                if len(item.text) == 1 and _is_invisible(item.text) and item.end - item.start > 1:
                    spellings[item.text] = self._source[item.start : item.end]
                offset += len(item.text)
        marks = [_with_partner(mark, numbers) for mark in marks]
        span = TextSpan(items[first].start, items[last].end)
        source = self._source[span.start : span.end]
        return Block(
            "".join(parts), tuple(marks), span, source, self._format, tuple(runs), spellings, in_table=in_table
        )

    def _append_piece(self, runs: list[OffsetRun], run: OffsetRun) -> None:
        if runs:
            before = runs[-1]
            equal = before.end - before.start == before.other_end - before.other_start
            if equal and before.other_end == run.other_start and run.end - run.start == run[3] - run[2]:
                runs[-1] = OffsetRun(before.start, run.end, before.other_start, run.other_end)
                return
        runs.append(run)


def _with_partner(mark: Mark, numbers: dict[int, int]) -> Mark:
    if mark.partner is None:
        return mark
    return Mark(mark.offset, mark.source, mark.kind, numbers[mark.partner], mark.written, mark.breaks_line)


def _is_invisible(character: str) -> bool:
    return character != " " and category(character) in ("Zs", "Cf")


def _trim_items(items: list[_Item], first: int, last: int) -> tuple[int, int]:
    """Leaves out what stands round the text: white space, silent atoms, and pairs that wrap all that remains."""
    while first <= last:
        if items[first].is_blank or _is_empty_pair(items, first):
            first += 1 if items[first].is_blank else 2
        elif items[last].is_blank or (last > first and _is_empty_pair(items, last - 1)):
            last -= 1 if items[last].is_blank else 2
        elif items[first].kind is MarkKind.OPEN and items[first].partner == last and items[last].written is None:
            first, last = first + 1, last - 1
        else:
            break
    return _trim_spaces(items, first, last)


def _is_empty_pair(items: list[_Item], number: int) -> bool:
    return items[number].kind is MarkKind.OPEN and items[number].partner == number + 1


def _trim_spaces(items: list[_Item], first: int, last: int) -> tuple[int, int]:
    """Leaves white space at the edges out of the first and the last text."""
    if first <= last and items[first].kind is None:
        item = items[first]
        lead = len(item.text) - len(item.text.lstrip())
        if lead and len(item.text) == item.end - item.start:
            items[first] = _Item(item.start + lead, item.end, item.text[lead:])
    if first <= last and items[last].kind is None:
        item = items[last]
        trail = len(item.text) - len(item.text.rstrip())
        if trail and len(item.text) == item.end - item.start:
            items[last] = _Item(item.start, item.end - trail, item.text[: len(item.text) - trail])
    return first, last
