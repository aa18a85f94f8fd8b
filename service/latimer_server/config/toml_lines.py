"""TOML texts: reads them, and finds the line of a key for error messages.

tomllib names lines for syntax errors only.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

_MOST_SHOWN = 200
_HEADER = re.compile(r"\s*\[{1,2}(?P<path>.+?)\]{1,2}\s*(#.*)?")
_NO_KEY = frozenset("[]{}#")
_BARE_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# tomllib takes time that grows faster than the square of the parts of a key: 20,000 parts over 20 s.
_MOST_PARTS = 64
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-])(?:{_PART}[ \t]*+\.[ \t]*+){{{_MOST_PARTS}}}")


class TomlError(ValueError):
    """A text is no TOML that can be read."""


def parse_toml(text: str) -> dict[str, Any]:
    """Returns the tables of a TOML text. Raises `TomlError`, in one line of bounded length."""
    if long_key := _LONG_KEY.search(text):
        line = text.count("\n", 0, long_key.start()) + 1
        raise TomlError(f"a dotted key has more than {_MOST_PARTS} parts (at line {line})")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(str(error)[:_MOST_SHOWN]) from None
    # tomllib lets through what fails below its parser.
    except RecursionError:
        raise TomlError("its values are nested too deeply") from None
    except ValueError:
        raise TomlError("a number has too many digits") from None


def find_line(text: str, path: Sequence[str]) -> int:
    """Returns the number (from 1) of the line in a TOML text that sets the key with this path.

    If the key is missing, returns the line of the longest beginning of its path that exists, such as its table; if
    there is none, 1.
    """
    best_length, best_line = 0, 1
    table: list[str] = []
    # Only these end a line in TOML; `splitlines` also divides at form feeds and separators of Unicode.
    for number, line in enumerate(re.split("\r?\n", text), start=1):
        if (header := _HEADER.fullmatch(line)) and (named := _read_path(header["path"])):
            table = here = named
        elif key := _read_key(line):
            here = table + _read_path(key)
        else:
            continue
        # Only a longer match replaces a match: the header of a table stands for a key until that key is found.
        shared = min(len(here), len(path))
        if here[:shared] == list(path[:shared]) and shared > best_length:
            best_length, best_line = shared, number
    return best_line


def _read_key(line: str) -> str:
    """Returns the dotted key before the equals sign of a line; "" if the line sets none."""
    key, sign, _ = line.partition("=")
    return key.strip() if sign and _NO_KEY.isdisjoint(key) else ""


def _read_path(dotted: str) -> list[str]:
    """Splits a dotted key into its parts: `models."a.b".source` has three. Returns an empty list if it is malformed."""
    if _BARE_PATH.fullmatch(dotted):
        return dotted.split(".")
    try:
        value: object = parse_toml(f"{dotted} = 0")
    except TomlError:
        return []
    path = []
    while isinstance(value, dict):
        key, value = next(iter(value.items()))
        path.append(key)
    return path
