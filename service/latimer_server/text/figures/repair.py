"""Repairs the figures of a translation: finds the figure that answers each one of the source, and writes it right.

Figures are matched by their text, by their value and by their digits. Those that are left are matched by the word
alignment, or by order if the model has none. Takes linear time in the texts. Pure functions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link, Move
from latimer_server.text.checks.numerals import FIGURES, find_decimal_mark
from latimer_server.text.figures.currency import SIGNS, find_sign_after, find_sign_before, name_currency, names_currency
from latimer_server.text.figures.notation import (
    CONTEXT,
    convert_figure,
    is_grouped,
    is_quantity,
    list_digits,
    read_figure,
)

# Figures with at least this many digits are repaired before shorter ones, which a model may rightly write differently:
# as a word, or as another hour of the day.
_LONG = 4


@dataclass(frozen=True)
class Figure:
    """A figure of a text.

    `span`: the span of its digits and their separators, which are `text`. `before` and `after`: the spans of a currency
    sign at its sides, empty without one. `context`: the text before it. `behind`: the text behind it.
    """

    span: TextSpan
    text: str
    before: TextSpan
    after: TextSpan
    before_text: str
    after_text: str
    context: str
    behind: str

    @property
    def whole(self) -> TextSpan:
        """The span of the figure with its currency sign."""
        return TextSpan(self.before.start, self.after.end)


# A figure of the source and the figure of the translation that answers it.
Pair = tuple[Figure, Figure]
# Returns the text by which a figure is matched; None for a figure that is not matched.
ReadKey = Callable[[Figure], str | None]


@dataclass(frozen=True)
class FigureRepair:
    """A translation with repaired figures.

    `moves`: the changed parts as (span of the old translation, span of the new one), ascending. `unsettled`: the spans
    of the figures of the source, with their signs, that the translation still lacks. `agrees`: whether the numbers of
    source and translation agree, and no figure is unsettled.
    """

    text: str
    moves: tuple[Move, ...] = ()
    unsettled: tuple[TextSpan, ...] = ()
    agrees: bool = False


def repair_figures(
    source: str,
    output: str,
    *,
    languages: tuple[str, str],
    protected: tuple[Sequence[TextSpan], Sequence[TextSpan]] = ((), ()),
    links: Sequence[Link] | None = None,
    agree: Callable[[str], bool],
) -> FigureRepair:
    """Returns `output` with the figures of `source` in the notation of the target language.

    `languages`: BCP-47 codes of source and output. `protected`: the protected spans of source and output, which are no
    figures. `links`: the word alignment; None without one. `agree`: returns True if the numbers of the source and of
    the given translation agree. No more is changed than makes them agree: first notations and signs, then long figures,
    then short ones.
    """
    marks = find_decimal_mark(languages[0]), find_decimal_mark(languages[1])
    matching = _Matching(find_figures(source, protected[0]), find_figures(output, protected[1]))
    equal = matching.pair(lambda figure: convert(figure, marks), lambda figure: figure.text)
    equal += matching.pair(
        lambda figure: read_figure(figure.text, marks[0]), lambda figure: read_figure(figure.text, marks[1])
    )
    respelled = matching.pair(lambda figure: list_digits(figure.text), lambda figure: list_digits(figure.text))
    edits = {new.span: convert(old, marks) for old, new in respelled if _is_misread(old, new, marks)}
    linked = _pair_left(matching, links)
    long = [(old, new) for old, new in linked if len(list_digits(old.text)) >= _LONG]
    attempts: list[FigureRepair] = []
    for more in ([], long, linked):
        if attempts and not more:
            continue
        chosen = edits | {new.span: convert(old, marks) for old, new in more}
        signs, unsettled = _check_signs(output, [*equal, *respelled, *more])
        text, moves = _apply(output, chosen | signs)
        attempts.append(FigureRepair(text, moves, tuple(unsettled), agrees=not unsettled))
        if agree(text):
            return attempts[-1]
    left = {*attempts[0].unsettled, *(figure.whole for figure in matching.sources)}
    return replace(attempts[0], unsettled=tuple(sorted(left, key=lambda span: span.start)), agrees=False)


def find_figures(text: str, protected: Sequence[TextSpan] = ()) -> list[Figure]:
    """Returns the figures of a text outside its protected spans, in order. `protected` is in any order."""
    ordered = sorted(protected, key=lambda span: span.start)
    starts = [span.start for span in ordered]
    figures = []
    for match in FIGURES.finditer(text):
        start, end = match.span()
        index = bisect_right(starts, end - 1) - 1
        if index >= 0 and ordered[index].end > start:
            continue
        before, after = find_sign_before(text, start), find_sign_after(text, end)
        figures.append(
            Figure(
                TextSpan(start, end),
                match.group(),
                before,
                after,
                text[before.start : before.end],
                text[after.start : after.end],
                text[max(0, start - CONTEXT) : start],
                text[end : end + CONTEXT],
            )
        )
    return figures


def convert(figure: Figure, marks: tuple[str, str]) -> str:
    """Returns the text of a figure in the notation of the target language; see `convert_figure`."""
    # A price per unit may have three decimals, as of petrol.
    is_money = figure.whole != figure.span and not figure.behind.lstrip(SIGNS + "$ \u00a0").startswith("/")
    return convert_figure(figure.text, marks, figure.context, is_money=is_money)


class _Matching:
    """The figures of a source (`sources`) and of its translation (`outputs`) that are in no pair yet, in order."""

    def __init__(self, sources: Sequence[Figure], outputs: Sequence[Figure]) -> None:
        self.sources = list(sources)
        self.outputs = list(outputs)

    def pair(self, read_source: ReadKey, read_output: ReadKey) -> list[Pair]:
        """Takes the figures with equal keys out and returns them in pairs. Equal keys are paired in order.

        A figure with the key None stays.
        """
        found: defaultdict[str, deque[int]] = defaultdict(deque)
        for index, figure in enumerate(self.outputs):
            if (key := read_output(figure)) is not None:
                found[key].append(index)
        pairs, left, taken = [], [], set()
        for figure in self.sources:
            key = read_source(figure)
            if key is not None and found.get(key):
                index = found[key].popleft()
                taken.add(index)
                pairs.append((figure, self.outputs[index]))
            else:
                left.append(figure)
        self.sources = left
        self.outputs = [figure for index, figure in enumerate(self.outputs) if index not in taken]
        return pairs


def _is_misread(source: Figure, output: Figure, marks: tuple[str, str]) -> bool:
    """Returns True if the reader of `output`, which has the digits of `source`, takes it for another number or none.

    An equal text that the target language cannot read otherwise, such as 3.5 or 10.30, may be a version or an hour. It
    is a figure only as an amount of money or before a unit.
    """
    if source.text != output.text or source.whole != source.span or is_quantity(source.context, source.behind):
        return True
    return is_grouped(source.text, marks[0]) or read_figure(output.text, marks[1]) is not None


def _pair_left(matching: _Matching, links: Sequence[Link] | None) -> list[Pair]:
    """Returns pairs of the figures that are left: by the links between them, or by their order without an alignment.

    The order counts only if as many figures are left in the source as in the translation. So do two single figures that
    no link joins.
    """
    sources, outputs = matching.sources, matching.outputs
    same_count = len(sources) == len(outputs)
    if links is None:
        return list(zip(sources, outputs, strict=True)) if same_count else []
    votes: defaultdict[tuple[int, int], float] = defaultdict(float)
    for link in links:
        old, new = _find_at(sources, link.source), _find_at(outputs, link.target)
        if old is not None and new is not None:
            votes[old, new] += link.score
    pairs, taken_sources, taken_outputs = [], set(), set()
    for (old, new), _ in sorted(votes.items(), key=lambda item: -item[1]):
        if old not in taken_sources and new not in taken_outputs:
            taken_sources.add(old)
            taken_outputs.add(new)
            pairs.append((sources[old], outputs[new]))
    return pairs if pairs or not (same_count and len(sources) == 1) else [(sources[0], outputs[0])]


def _find_at(figures: Sequence[Figure], span: TextSpan) -> int | None:
    """Returns the index of the first figure that overlaps a span; None if there is none."""
    index = bisect_right(figures, span.start, key=lambda figure: figure.span.end)
    return index if index < len(figures) and figures[index].span.start < span.end else None


def _check_signs(output: str, pairs: Sequence[Pair]) -> tuple[dict[TextSpan, str], list[TextSpan]]:
    """Returns the new texts of currency signs by their span in `output`, and the figures whose currency is lost.

    A sign before a figure becomes the sign of the source. A figure without any sign gets one, unless words name a
    currency. A figure of the source is lost, with its sign, if they name another one.
    """
    edits: dict[TextSpan, str] = {}
    lost: list[TextSpan] = []
    for source, output_figure in pairs:
        before, after = source.before_text, source.after_text
        if not before and not after:
            continue
        currency = name_currency(before or after)
        if output_figure.before_text:
            if before and output_figure.before_text != before:
                edits[output_figure.before] = before
            elif not before and name_currency(output_figure.before_text) != currency:
                lost.append(source.whole)
        elif output_figure.after_text:
            if name_currency(output_figure.after_text) != currency:
                lost.append(source.whole)
        elif (named := names_currency(output, output_figure.span, currency)) is None and before:
            edits[output_figure.before] = before
        elif not named:
            lost.append(source.whole)
    return edits, lost


def _apply(text: str, edits: Mapping[TextSpan, str]) -> tuple[str, tuple[Move, ...]]:
    """Returns a text with the spans of `edits` replaced, and the replaced parts as moves. The spans are disjoint."""
    parts: list[str] = []
    moves: list[Move] = []
    position = length = 0
    for whole, written in sorted(edits.items(), key=lambda edit: (edit[0].start, edit[0].end)):
        for span, new in _refine(text, whole, written):
            parts += (text[position : span.start], new)
            length += span.start - position
            moves.append((span, TextSpan(length, length + len(new))))
            length, position = length + len(new), span.end
    return "".join((*parts, text[position:])), tuple(moves)


def _refine(text: str, span: TextSpan, new: str) -> Iterator[tuple[TextSpan, str]]:
    """Yields the characters in which a new text of equal length differs from the old one; else the edit as it is.

    So a tag around `19` stays there if `19.99` becomes `19,99`.
    """
    if len(new) != span.end - span.start:
        yield span, new
        return
    for index, character in enumerate(new, span.start):
        if text[index] != character:
            yield TextSpan(index, index + 1), character
