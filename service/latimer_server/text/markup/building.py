"""Builds blocks from the text and marks that the reader of HTML, XML or Markdown passes in order.

Pairs opening with closing marks, turns untranslated elements into one atom each, and leaves marks and white space
around the text out of the block. Takes linear time at any depth of nesting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from unicodedata import category

from latimer_server.core.abandonment import require_wanted
from latimer_server.core.spans import TextSpan
from latimer_server.text.markup.document import OBJECT, Block, Mark, MarkKind, OffsetRun, TextFormat

# Elements for raised and lowered text, and what is no word in them.
_RAISED = frozenset(("sup", "sub"))
_NUMBER = r"\d{1,3}(?:[,;–-] ?\d{1,3})?"
_SIGN = re.compile(
    rf"[(\[]?(?:{_NUMBER}|[+−–-]?\d{{1,3}}[+−–-]?|[a-zA-Z]|TM|SM|tm|M[CDR]|[ivx]{{2,4}}|[^\w\s]{{1,3}})[)\]]?"
)


@dataclass
class _Item:
    """A part of the text (`kind` None) or a mark of the block that is being built.

    `start` and `end`: its span in the source. `text`: its text in the block; "" for a tag or delimiter. `opaque`: an
    OPEN mark whose element becomes one atom. `silent`: an atom without meaning for the sentence, such as an image or a
    comment; code is not silent. `written`: its text in the output if that differs from the source. `partner`: the index
    of the item that opens or closes it.
    """

    start: int
    end: int
    text: str = ""
    kind: MarkKind | None = None
    name: str = ""
    opaque: bool = False
    silent: bool = False
    breaks_line: bool = False
    written: str | None = None
    partner: int | None = None

    @property
    def is_blank(self) -> bool:
        """True for white space and silent atoms, which a block leaves out at its edges."""
        return self.silent if self.kind is MarkKind.ATOM else self.kind is None and not self.text.strip()


class BlockBuilder:
    """Collects text and marks of a document in order. `finish_block` makes a block of them and adds it to `blocks`."""

    def __init__(self, source: str, text_format: TextFormat) -> None:
        self.blocks: list[Block] = []
        self._source = source
        self._format = text_format
        self._items: list[_Item] = []
        # The items that are open marks, by their index in `_items`: all of them, and those of each name.
        self._open: list[int] = []
        self._open_by_name: dict[str, list[int]] = {}
        # Those of them that are delimiters of Markdown. No pair of HTML tags reaches across one.
        self._barriers: list[int] = []

    def add_text(self, start: int, end: int, text: str | None = None) -> None:
        """Adds a span of the source as text. A U+FFFC in it becomes an atom.

        `text`: its value if it differs from the source, as that of an entity does.
        """
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
        """Adds a span of the source that comes out unchanged, such as an image or a line break.

        `silent`: it has no meaning for the sentence, and is left out at the edges of the block. `breaks_line`: it ends
        a line; it is silent too.
        """
        item = _Item(start, end, OBJECT, MarkKind.ATOM, silent=silent or breaks_line, breaks_line=breaks_line)
        self._items.append(item)

    def open_mark(self, start: int, end: int, name: str, *, opaque: bool = False, barrier: bool = False) -> int:
        """Adds a mark that wraps text until `name` is closed, and returns its number for `close_barrier`.

        `opaque`: the whole element becomes one atom when it closes. `barrier`: a delimiter that only `close_barrier`
        closes; no pair of tags reaches across it.
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
        """Adds a mark that closes the last open mark named `name`. Marks opened since then stay without a partner.

        Without an open mark of that name, the new mark has no partner either.
        """
        opened = self._open_by_name.get(name, [])
        if not opened or (self._barriers and opened[-1] < self._barriers[-1]):
            self._items.append(_Item(start, end, kind=MarkKind.CLOSE, name=name))
            return
        self._close(opened[-1], _Item(start, end, kind=MarkKind.CLOSE, name=name))

    def close_barrier(self, number: int, start: int, end: int, written: str | None = None) -> None:
        """Adds a mark that closes the last open delimiter.

        `number`: the one that `open_mark` returned for it. `written`: the text of the new mark in the output if that
        differs from the source.
        """
        self._barriers.pop()
        self._close(number, _Item(start, end, kind=MarkKind.CLOSE, written=written))

    def finish_block(self, *, in_table: bool = False) -> None:
        """Adds a block of all items since the last call to `blocks`, unless they have no text but white space.

        `in_table`: the block is a cell of a Markdown table.
        """
        require_wanted()
        items, first, last = self._items, 0, len(self._items) - 1
        self._items, self._open, self._open_by_name, self._barriers = [], [], {}, []
        first, last = _trim_items(items, first, last)
        if any(item.kind is None and item.text.strip() for item in items[first : last + 1]):
            self.blocks.append(self._build(items, first, last, in_table=in_table))

    @property
    def is_empty(self) -> bool:
        """True if nothing was added since the last `finish_block`."""
        return not self._items

    def extend_last(self, end: int) -> None:
        """Extends the last item to `end` in the source, to cover the indentation after a line break."""
        if self._items:
            self._items[-1].end = end

    def _close(self, number: int, item: _Item) -> None:
        opener = self._items[number]
        while self._open[-1] != number:
            self._forget(self._open.pop())
        self._open.pop()
        self._forget(number)
        if opener.opaque or self._is_raised_sign(number):
            del self._items[number:]
            self.add_atom(opener.start, item.end)
            return
        opener.partner, item.partner = len(self._items), number
        self._items.append(item)

    def _is_raised_sign(self, number: int) -> bool:
        """Returns True if the open mark at this index is raised or lowered and wraps a number, a letter or a sign.

        Such a mark is one atom: it names a note or is a part of a formula, and no word of a translation answers it.
        """
        content = self._items[number + 1 :] if len(self._items) == number + 2 else []
        is_text = bool(content) and content[0].kind is None
        return is_text and self._items[number].name.lower() in _RAISED and _SIGN.fullmatch(content[0].text) is not None

    def _forget(self, number: int) -> None:
        """Removes a mark (index in `_items`) from the open marks of its name, if it is the last of them."""
        named = self._open_by_name.get(self._items[number].name)
        if named and named[-1] == number:
            named.pop()

    def _build(self, items: list[_Item], first: int, last: int, *, in_table: bool) -> Block:
        marks: list[Mark] = []
        runs: list[OffsetRun] = []
        spellings: dict[str, str] = {}
        numbers: dict[int, int] = {}  # from the index of an item to its index among the marks
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
                _append_run(runs, OffsetRun(offset, offset + len(item.text), item.start, item.end))
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


def _append_run(runs: list[OffsetRun], run: OffsetRun) -> None:
    """Appends a run, or extends the last one by it if both are literal and adjacent in the source."""
    if runs:
        before = runs[-1]
        if before.is_literal and run.is_literal and before.other_end == run.other_start:
            runs[-1] = OffsetRun(before.start, run.end, before.other_start, run.other_end)
            return
    runs.append(run)


def _with_partner(mark: Mark, numbers: dict[int, int]) -> Mark:
    """Returns a mark with its partner, an index among the items, replaced by the index among the marks (`numbers`)."""
    if mark.partner is None:
        return mark
    return Mark(mark.offset, mark.source, mark.kind, numbers[mark.partner], mark.written, mark.breaks_line)


def _is_invisible(character: str) -> bool:
    return character != " " and category(character) in ("Zs", "Cf")


def _trim_items(items: list[_Item], first: int, last: int) -> tuple[int, int]:
    """Returns the indices of the first and last items that belong in a block.

    Leaves out white space, silent atoms and empty pairs at the edges, and pairs that wrap all the rest. White space at
    the edges of the text that remains is cut off.
    """
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
    """Cuts white space off the start of the first item and off the end of the last one, if they are text.

    Replaces those items in the list, and returns the two indices unchanged.
    """
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
