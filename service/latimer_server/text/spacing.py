"""Puts the white space and the direction marks of a source back into its translation.

Models write single spaces. Runs of spaces, tabs and line breaks inside a segment go to the corresponding space of the
output: behind the same punctuation, beside the same word or number, else at the same share of the text. A no-break
space is restored beside an equal word only. Bidirectional controls (Unicode Annex 9) come in pairs, and text behind an
unclosed one is shown in the wrong order; so all of them are put back, in their order. Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.hyphenation import find_divided
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# White space that is not one plain space.
_RUN = re.compile("[^\\S\n\r\v\f\x1c-\x1e\x85\u2028\u2029]{2,}+|[^\\S \n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_RUN_OF_SPACES = re.compile("  ++")
_SINGLE = re.compile("(?<=\\S) (?=\\S)")
_PLAIN = re.compile("[ -~\n]*+")
_TOKEN = re.compile("\\S++")
_OPENING = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"
_CLOSING = "\u202c\u2069"
_CONTROL = re.compile(f"[{_OPENING}{_CLOSING}]++")
_SIGNS = '.,;:!?…)”"»'
# Runs and controls of one segment that are put back; more of them are no text.
_MOST = 200
_LONGEST_TOKEN = 64


def restore_spaces(source: ProtectedText, output: ProtectedText, *, keeps_lines: bool) -> Iterator[Edit]:
    """Yields the replacement of single spaces of an output by the white space that its source has there.

    `source`: the segment as it was written. `keeps_lines`: also the line breaks inside divided words.
    """
    runs = list(_find_runs(source, keeps_lines=keeps_lines))[:_MOST]
    if not runs:
        return
    # Some models copy white space, and the lines of a segment are translated by themselves.
    copied = Counter(run for _, run in _find_runs(output, keeps_lines=False))
    places = [match.start() for match in _SINGLE.finditer(output.text)]
    places = [at for at in places if _leave_spans(at, output.spans) == at]
    finder = _PlaceFinder(source.text, output.text, places)
    for place, run in runs:
        if copied[run] > 0:
            copied[run] -= 1
            continue
        at = finder.take(place, guesses=run != "\u00a0" and run != "\u202f")
        if at is not None:
            yield Edit(at, at + 1, run)


def remove_spaces(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the removal of all but one space of each run in an output, if its source has no runs of spaces."""
    if "  " in source.text or "  " not in output.text:
        return
    for part in list_unprotected(output):
        for match in _RUN_OF_SPACES.finditer(output.text, part.start, part.end):
            yield Edit(match.start() + 1, match.end(), "")


def restore_controls(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the bidirectional controls that an output lacks, each at the edge of a word."""
    if not _CONTROL.search(source.text) or _CONTROL.search(_join_unprotected(output)):
        return
    finder = _PlaceFinder(source.text, output.text, [])
    least = 0
    for part in list_unprotected(source):
        for match in list(_CONTROL.finditer(source.text, part.start, part.end))[:_MOST]:
            at = finder.find_edge(match, opens=match.group()[-1] in _OPENING)
            least = max(least, _leave_spans(at, output.spans))
            yield Edit(least, least, match.group())


def _find_runs(source: ProtectedText, *, keeps_lines: bool) -> Iterator[tuple[TextSpan, str]]:
    """Yields the place of each run of white space in the source, and the run."""
    text = source.text
    if keeps_lines:
        for span in find_divided(text):
            word = _TOKEN.match(text, span.end)
            end = word.end() if word else span.end
            yield TextSpan(end, end), text[span.start : span.end].lstrip("-\u2010\u00ad")
    if "  " in text or not _PLAIN.fullmatch(text):
        for part in list_unprotected(source):
            for match in _RUN.finditer(text, part.start, part.end):
                beside = text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
                if len(beside) == 2 and not beside.isspace() and "\n" not in beside and "\r" not in beside:
                    yield TextSpan(*match.span()), match.group()


class _PlaceFinder:
    """Finds the place in an output that corresponds to a place between two words of its source.

    `places`: the offsets of the single spaces of the output, ascending. Each is taken once.
    """

    def __init__(self, source: str, output: str, places: Sequence[int]) -> None:
        self._source = source
        self._output = output
        self._places = list(places)

    def take(self, run: TextSpan, *, guesses: bool) -> int | None:
        """Returns the offset of the space for a run, or None. `guesses`: False requires an equal word beside it."""
        if not self._places:
            return None
        before, after = self._read_token(run.start, -1), self._read_token(run.end, 1)
        at = self._find_beside(before, after)
        if at is None and guesses:
            at = self._find_behind_sign(run.start) if before[-1:] in _SIGNS else None
            at = self._find_nearest(run.start) if at is None else at
        if at is not None:
            self._places.remove(at)
        return at

    def find_edge(self, control: re.Match[str], *, opens: bool) -> int:
        """Returns the offset for a control: before its next word if it opens, else behind the word before it."""
        token = self._read_token(control.end(), 1) if opens else self._read_token(control.start(), -1)
        token = _CONTROL.sub("", token)
        if token and self._output.count(token) == 1:
            return self._output.index(token) + (0 if opens else len(token))
        share = control.start() / max(1, len(self._source))
        wanted = round(share * len(self._output))
        edges = [match.start() if opens else match.end() for match in _TOKEN.finditer(self._output)]
        number = bisect_left(edges, wanted)
        near = edges[max(0, number - 1) : number + 1]
        return min(near, key=lambda edge: abs(edge - wanted)) if near else len(self._output)

    def _read_token(self, position: int, step: int) -> str:
        """Returns the word that ends (`step` -1) or begins (1) at an offset of the source; at most 64 code points."""
        end = position
        while 0 <= (end - 1 if step < 0 else end) < len(self._source) and abs(end - position) < _LONGEST_TOKEN:
            if self._source[end - 1 if step < 0 else end].isspace():
                break
            end += step
        return self._source[min(position, end) : max(position, end)]

    def _find_beside(self, before: str, after: str) -> int | None:
        """Returns the space behind the word `before` or before the word `after`, if the output has that word once."""
        for token, is_before in ((before, True), (after, False)):
            padded = f" {self._output} "
            if token and any(map(str.isalnum, token)) and padded.count(f" {token} ") == 1:
                start = padded.index(f" {token} ")
                at = start + len(token) if is_before else start - 1
                if self._is_free(at):
                    return at
        return None

    def _find_behind_sign(self, end: int) -> int | None:
        """Returns the space behind the sign that corresponds to the one before the offset `end` of the source."""
        sign = self._source[end - 1]
        pattern = re.compile(re.escape(sign) + r"(?=\s)")
        sources = [match.end() for match in pattern.finditer(self._source)]
        targets = [match.end() for match in pattern.finditer(self._output)]
        if len(sources) != len(targets) or end not in sources:
            return None
        at = targets[sources.index(end)]
        return at if self._is_free(at) else None

    def _find_nearest(self, position: int) -> int:
        wanted = position / max(1, len(self._source)) * len(self._output)
        number = bisect_left(self._places, wanted)
        near = self._places[max(0, number - 1) : number + 1]
        return min(near, key=lambda place: abs(place - wanted))

    def _is_free(self, at: int) -> bool:
        number = bisect_left(self._places, at)
        return number < len(self._places) and self._places[number] == at


def _join_unprotected(guarded: ProtectedText) -> str:
    return "".join(guarded.text[part.start : part.end] for part in list_unprotected(guarded))


def _leave_spans(offset: int, spans: Sequence[TextSpan]) -> int:
    """Returns an offset, or the end of the span that it is inside. `spans`: ascending, disjoint."""
    number = bisect_right(spans, offset, key=lambda span: span.start) - 1
    return max(offset, spans[number].end) if number >= 0 and spans[number].start < offset else offset
