"""Paths of keys that choose texts in JSON and YAML: `title`, `items[*].title`, `$.items[0].title`, `$..title`.

A path is a row of steps from the top of a document: `.name` or `["name"]` is a key, `[3]` an item of a list from 0, `*`
and `[*]` any key or item, `..` any number of steps. `$` at the start may be left out. This is the part of RFC 9535
(JSONPath) that chooses by place; filters and slices are refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from latimer.files.document import FileError
from latimer.files.identifiers import has_letter, is_identifier

# A key, or the number of an item.
Step = str | int

_STEP = re.compile(
    r"""(?P<any>\.?\*|\[\*\])|(?P<deep>\.\.)|\[(?P<item>\d+)\]|\[(?P<quote>["'])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\]|\.?(?P<key>[^.\[\]*"'\s][^.\[\]*]*)""",
    re.VERBOSE,
)
# Paths whose result is remembered; equal paths come again for each line of JSON Lines.
_REMEMBERED = 4096
# Paths that an error names.
_MOST_NAMED = 5


class TextChoice:
    """Chooses the texts of a file by paths, or all but identifiers if there are no paths.

    `left_out`: the number of values that were left out as identifiers since `begin`. Raises `FileError` for a path that
    cannot be read.
    """

    def __init__(self, paths: tuple[str, ...], path: Path) -> None:
        self.left_out = 0
        self._path = path
        self._paths = paths
        self._patterns = [_compile(each, path) for each in paths]
        self._unmatched = set(range(len(paths)))
        self._examples: dict[str, None] = {}
        self._find = lru_cache(_REMEMBERED)(self._match)

    def begin(self) -> None:
        """Starts a reading of the file."""
        self.left_out = 0
        self._unmatched = set(range(len(self._paths)))
        self._examples = {}

    def takes(self, place: tuple[Step, ...], value: str) -> bool:
        """Returns True if the string at a place is a text to translate."""
        if not self._patterns:
            is_left = is_identifier(value, str(place[-1]) if place else "") and has_letter(value)
            self.left_out += is_left
            return not is_left
        found = self._find(place)
        self._unmatched.difference_update(found)
        if len(self._examples) < _MOST_NAMED:
            self._examples[re.sub(r"\[\d+\]", "[*]", write_path(place))] = None
        return bool(found)

    def check(self) -> None:
        """Raises `FileError` if the file that was read has strings, but none at one of the paths."""
        if self._unmatched and self._examples:
            missing = repr(self._paths[min(self._unmatched)])
            named = ", ".join(filter(None, self._examples))
            raise FileError(self._path, f"there is no text at the path {missing}", cure=f"it has texts at {named}")

    def _match(self, place: tuple[Step, ...]) -> tuple[int, ...]:
        written = "".join(f"[{step}]" if isinstance(step, int) else f"\0{step}" for step in place)
        return tuple(number for number, pattern in enumerate(self._patterns) if pattern.fullmatch(written))


def write_path(place: tuple[Step, ...]) -> str:
    """Returns the path of a place, such as `items[0].title`."""
    written = ""
    for step in place:
        if isinstance(step, int):
            written += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            written += f".{step}" if written else step
        else:
            written += '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return written


def _compile(text: str, path: Path) -> re.Pattern[str]:
    r"""A place is written for the pattern as `\0key` and `[3]`, one after the other."""
    pattern, position = "", 0
    body = text.removeprefix("$").strip()
    while position < len(body):
        match = _STEP.match(body, position)
        if match is None:
            raise FileError(
                path,
                f"the path {text!r} cannot be read from {body[position:]!r} on",
                cure='write it like $.items[*].title, $..title or $["a key"]',
            )
        if match["any"]:
            pattern += r"(?:\0[^\0]*?|\[\d+\])"
        elif match["deep"]:
            pattern += r"(?:\0[^\0]*?|\[\d+\])*?"
        elif match["item"]:
            pattern += rf"\[{int(match['item'])}\]"
        else:
            key = match["key"] if match["quoted"] is None else re.sub(r"\\(.)", r"\1", match["quoted"])
            pattern += r"\0" + re.escape(key)
        position = match.end()
    return re.compile(pattern, re.DOTALL)
