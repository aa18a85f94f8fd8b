"""Reads the strings of software in `strings.toml`, and puts other texts in the place of their placeholders."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latimer_server.core.spans import TextSpan

_FILE = Path(__file__).with_name("strings.toml")
_NUMBER = re.compile(r"\d+%?")
_TIME = re.compile(r"\d{2}/\d{2}/\d{4}|\d:\d{2}")
_PEOPLE = frozenset({"Maria", "Madonna"})


@dataclass(frozen=True)
class SoftwareString:
    """A string in one language, and its translation by people.

    `placeholders` and `words`: its placeholders in order, and a natural word for each. `target_words`: the translations
    of the words, in the same order. `reference`: the translation, with the same placeholders in the order
    `reference_placeholders`.
    """

    text: str
    placeholders: tuple[str, ...]
    words: tuple[str, ...]
    target_words: tuple[str, ...]
    reference: str
    reference_placeholders: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The kind of its placeholders: "numbers", "times", "people" or "other words"; else "mixed"."""
        kinds = {_find_kind(word) for word in self.words}
        return kinds.pop() if len(kinds) == 1 else "mixed"


def _find_kind(word: str) -> str:
    """Returns the kind of a placeholder by its natural word."""
    if _NUMBER.fullmatch(word):
        return "numbers"
    if _TIME.fullmatch(word):
        return "times"
    return "people" if word in _PEOPLE else "other words"


def read_strings(source: str, target: str) -> list[SoftwareString]:
    """Returns the strings in the language `source` ("en" or "pt"), with their translations into `target`."""
    found = []
    for row in tomllib.loads(_FILE.read_text("utf-8"))["string"]:
        placeholders, words = row["placeholders"], row["words"]
        pairs = list(zip(placeholders[target], words[target], strict=True))
        targets = []
        for placeholder in placeholders[source]:
            index = next(i for i, (other, _) in enumerate(pairs) if other == placeholder)
            targets.append(pairs.pop(index)[1])
        found.append(
            SoftwareString(
                row[source],
                tuple(placeholders[source]),
                tuple(words[source]),
                tuple(targets),
                row[target],
                tuple(placeholders[target]),
            )
        )
    return found


def fill(text: str, placeholders: Sequence[str], fillers: Sequence[str]) -> str:
    """Returns a text with each placeholder, in order, replaced by its filler. Raises ValueError if one is missing."""
    parts: list[str] = []
    position = 0
    for place, filler in zip(find_places(text, placeholders), fillers, strict=True):
        parts += (text[position : place.start], filler)
        position = place.end
    return "".join((*parts, text[position:]))


def find_places(text: str, placeholders: Sequence[str]) -> tuple[TextSpan, ...]:
    """Returns the spans of the placeholders of a text, in order. Raises ValueError if one is missing."""
    places = []
    position = 0
    for placeholder in placeholders:
        start = text.index(placeholder, position)
        position = start + len(placeholder)
        places.append(TextSpan(start, position))
    return tuple(places)


def find_skeleton(output: str, fillers: Sequence[str]) -> str | None:
    """Returns an output with the fillers replaced by signs: `<1>` for the first one.

    Returns None unless the output has every filler exactly once as a separate word.
    """
    for number, filler in enumerate(fillers, 1):
        pattern = re.compile(rf"(?<![\w,.-]){re.escape(filler)}(?![-,.]?\w)")
        if len(pattern.findall(output)) != 1:
            return None
        output = pattern.sub(f"<{number}>", output)
    return output
