"""On which line of a TOML text a key stands: tomllib says so for broken syntax only.

Knows TOML's tables and keys, nothing of what they mean.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

_HEADER = re.compile(r"\s*\[{1,2}(?P<path>[^\[\]]+)\]{1,2}\s*(#.*)?")
_KEY = re.compile(r"\s*(?P<path>[^=\[\]{}#]+?)\s*=")


def find_line(text: str, path: Sequence[str]) -> int:
    """The line (from 1) of the key with this path; else of what of it is there, such as its table; else 1."""
    best, found = 0, 1
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            table = here = _read_path(header["path"])
        elif key := _KEY.match(line):
            here = table + _read_path(key["path"])
        else:
            continue
        # A table's header stands for the keys in it until one of them is seen.
        shared = min(len(here), len(path))
        if here[:shared] == list(path[:shared]) and shared > best:
            best, found = shared, number
    return found


def _read_path(dotted: str) -> list[str]:
    try:
        value: object = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return []
    path = []
    while isinstance(value, dict):
        key, value = next(iter(value.items()))
        path.append(key)
    return path
