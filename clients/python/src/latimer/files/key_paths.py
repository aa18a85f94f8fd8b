"""Paths of keys that choose texts in JSON and YAML: `title`, `items[*].title`, `$.items[0].title`, `$..title`.

A path is a row of steps from the top of a document: `.name` or `["name"]` is a key, `[3]` an item of a list from 0, `*`
and `[*]` any key or item, `..` any number of steps. `$` at the start may be left out. This is the part of RFC 9535
(JSONPath) that chooses by place; filters and slices are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from latimer.files.document import FileError

# A key, or the number of an item.
Step = str | int

_STEP = re.compile(
    r"""(?P<any>\.?\*|\[\*\])|(?P<deep>\.\.)|\[(?P<item>\d+)\]|\[(?P<quote>["'])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\]|\.?(?P<key>[^.\[\]*"'\s][^.\[\]*]*)""",
    re.VERBOSE,
)
# Paths whose result is remembered; equal paths come again for each line of JSON Lines.
_REMEMBERED = 4096


def compile_paths(paths: tuple[str, ...], path: Path) -> Callable[[tuple[Step, ...]], bool]:
    """Returns the function that tells whether a place in a document is chosen. No paths choose all.

    `path`: the file, for the `FileError` of a path that cannot be read.
    """
    patterns = [_compile(each, path) for each in paths]

    @lru_cache(_REMEMBERED)
    def is_chosen(place: tuple[Step, ...]) -> bool:
        written = "".join(f"[{step}]" if isinstance(step, int) else f"\0{step}" for step in place)
        return any(pattern.fullmatch(written) for pattern in patterns)

    return is_chosen if patterns else lambda _: True


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
