"""Finds phrases in a text as whole words, in time that grows with the text and not with the number of phrases.

Source: Aho and Corasick 1975, "Efficient String Matching". A text is read as units: words, runs of white space, and all
other characters one by one. The automaton reads them from the last to the first, so that it knows for each unit the
longest phrase that begins there.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain

from latimer_server.core.scripts import UNSPACED_LETTERS
from latimer_server.core.spans import TextSpan

# A word is a run of letters, digits, underscores and combining marks of scripts that divide words by spaces; compare
# `spans.is_glue`. A raised number is a unit by itself, since it may be that of a note, and so is every other character.
_UNIT = re.compile(rf"(?:[^\W{UNSPACED_LETTERS}²³¹⁰-₟\u2e80-\U0010ffff]|[\u0300-\u036f])++|\s++|.", re.DOTALL)
_SPACE = " "


class PhraseMatcher:
    """The compiled phrases of a request. `case_sensitive` False compares words in folded case (`str.casefold`)."""

    def __init__(self, phrases: Iterable[str], *, case_sensitive: bool) -> None:
        self._case_sensitive = case_sensitive
        split = [self._split(phrase) for phrase in phrases]
        # The numbers of the units that occur in phrases, from 1; 0 is every other unit.
        self._numbers = {unit: number for number, unit in enumerate(dict.fromkeys(chain(*split)), 1)}
        self._factor = len(self._numbers) + 1
        # state * `_factor` + unit -> next state. State 0 is the start.
        self._transitions: dict[int, int] = {}
        # For each state the units of the longest phrase that it completes, else 0; and the longest other state whose
        # units its own units end with.
        self._lengths, self._fallbacks = array("q", [0]), array("q", [0])
        self._build(split)

    def find(self, text: str) -> Iterator[TextSpan]:
        """Yields the spans of phrases in `text`, ascending and disjoint: the first one, and the longest one there."""
        units = _UNIT.findall(text)
        numbers = self._number_units(units)
        if not any(numbers):
            return
        lengths = self._measure(numbers)
        starts = [0, *accumulate(map(len, units))]
        index = 0
        while index < len(lengths):
            if lengths[index]:
                yield TextSpan(starts[index], starts[index + lengths[index]])
            index += lengths[index] or 1

    def _number_units(self, units: list[str]) -> list[int]:
        find, space = self._numbers.get, self._numbers.get(_SPACE, 0)
        units = list(map(_compose, units))
        if not self._case_sensitive:
            units = list(map(str.casefold, units))
        return [find(unit) or (space if unit.isspace() else 0) for unit in units]

    def _measure(self, units: list[int]) -> array[int]:
        """Returns for each unit of a text the units of the longest phrase that begins there; 0 without any."""
        lengths = array("q", bytes(8 * len(units)))
        transitions, fallbacks, factor = self._transitions, self._fallbacks, self._factor
        state = 0
        for index in range(len(units) - 1, -1, -1):
            unit = units[index]
            if not unit:
                state = 0
                continue
            while (following := transitions.get(state * factor + unit)) is None and state:
                state = fallbacks[state]
            state = following or 0
            lengths[index] = self._lengths[state]
        return lengths

    def _fold(self, unit: str) -> str:
        if unit.isspace():
            return _SPACE
        unit = _compose(unit)
        return unit if self._case_sensitive else unit.casefold()

    def _split(self, phrase: str) -> list[str]:
        """Returns the units of a phrase without white space at its edges, the last one first."""
        return [self._fold(unit) for unit in _UNIT.findall(phrase.strip())][::-1]

    def _build(self, phrases: list[list[str]]) -> None:
        # (state, its parent, its last unit) by the number of its units.
        by_depth: list[list[tuple[int, int, int]]] = []
        for units in phrases:
            state = 0
            for depth, unit in enumerate(units):
                number = self._numbers[unit]
                key = state * self._factor + number
                if key not in self._transitions:
                    self._transitions[key] = len(self._lengths)
                    if depth == len(by_depth):
                        by_depth.append([])
                    by_depth[depth].append((len(self._lengths), state, number))
                    self._lengths.append(0)
                    self._fallbacks.append(0)
                state = self._transitions[key]
            if units:
                self._lengths[state] = len(units)
        for states in by_depth[1:]:
            for state, parent, number in states:
                fallback = self._fallbacks[parent]
                while (following := self._transitions.get(fallback * self._factor + number)) is None and fallback:
                    fallback = self._fallbacks[fallback]
                self._fallbacks[state] = following or 0
                self._lengths[state] = self._lengths[state] or self._lengths[self._fallbacks[state]]


def _compose(unit: str) -> str:
    """Returns a word with composed characters (NFC), since texts write `é` as one character or as two."""
    return unit if unit.isascii() else unicodedata.normalize("NFC", unit)
