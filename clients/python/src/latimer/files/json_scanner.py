"""A scanner of JSON (RFC 8259) that yields the string values with their places in the source text.

`json` of Python's library gives no positions, and writing its values again would change white space, escapes and
numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from latimer.files.document import FileError
from latimer.files.key_paths import Step

# Levels of nesting. Real files have fewer than 50; a path of a deeper place would fill the memory.
_MAX_DEPTH = 1_000
_CURE = "check the file with a JSON validator"

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"')
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")

# Makes the error of an offset from a reason and a cure.
Fault = Callable[[int, str, str], FileError]


@dataclass(frozen=True)
class JsonString:
    """A string value. `start` and `end`: of its literal, with the quotation marks. `literal`: between them."""

    path: tuple[Step, ...]
    start: int
    end: int
    literal: str

    @property
    def value(self) -> str:
        """The string. Half of a surrogate pair, which is no character, is U+FFFD."""
        return unescape(self.literal)


def unescape(literal: str) -> str:
    """Returns the string of a literal."""
    if "\\" not in literal:
        return literal
    value = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _SIMPLE[match[2]], literal)
    if _SURROGATE.search(value):
        value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def escape(text: str, *, like: str = "", ascii_only: bool = False) -> str:
    """Returns the literal of a string. `like`: the literal that it replaces, which shows whether `/` is escaped."""
    written = text.replace("\\", "\\\\").replace('"', '\\"')
    written = re.sub(r"[\x00-\x1f]", lambda match: _CONTROLS.get(match[0], f"\\u{ord(match[0]):04x}"), written)
    if "\\/" in like:
        written = written.replace("/", "\\/")
    return re.sub(r"[^\x00-\x7f]", lambda match: escape_character(match[0]), written) if ascii_only else written


_CONTROLS = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape_character(character: str) -> str:
    r"""Returns a character as `\uXXXX`, or as two of them beyond U+FFFF."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def scan_json(text: str, fault: Fault) -> Iterator[JsonString]:
    """Yields the string values of a JSON text in order. Raises the error that `fault` makes if it is no JSON.

    The scanner needs no recursion. A key that comes twice in an object is a place like any other.
    """
    scanner = _Scanner(text, fault)
    if scanner.position == len(text):
        raise fault(scanner.position, "there is no JSON value", "check that the file is whole")
    while True:
        if scanner.open_container():
            continue
        string = scanner.read_scalar()
        if string:
            yield string
        if not scanner.close_containers():
            break
    if scanner.position < len(text):
        raise fault(
            scanner.position, "there is text after the JSON value", "use --format jsonl for a value on each line"
        )


class _Scanner:
    """A position in a JSON text, and the open containers around it."""

    def __init__(self, text: str, fault: Fault) -> None:
        self._text = text
        self._fault = fault
        self._steps: list[Step] = []  # the key or number of the current member of each open container
        self._closings: list[str] = []
        self.position = 0
        self._move(0)

    def open_container(self) -> bool:
        """Goes to the first member of the container that starts here. Returns False if none does, or an empty one."""
        sign = self._sign()
        if sign not in ("{", "["):
            return False
        if len(self._steps) == _MAX_DEPTH:
            raise self._fault(self.position, f"it is nested more than {_MAX_DEPTH:,} levels deep", "")
        self._closings.append("]" if sign == "[" else "}")
        self._steps.append(0)
        self._move(self.position + 1)
        if self._sign() == self._closings[-1]:
            return False
        if sign == "{":
            self._steps[-1] = self._read_key()
        return True

    def read_scalar(self) -> JsonString | None:
        """Reads the value here, and returns it if it is a string. The end of an empty container is no value."""
        if self._closings and self._sign() == self._closings[-1] and self._steps[-1] == 0:
            return None
        if self._sign() == '"':
            match = _STRING.match(self._text, self.position)
            if match is None:
                raise _bad_string(self._text, self.position, self._fault)
            self._move(match.end())
            return JsonString(tuple(self._steps), match.start(), match.end(), match[1])
        scalar = _SCALAR.match(self._text, self.position)
        if scalar is None:
            raise self._fault(self.position, "a JSON value is missing here", _CURE)
        self._move(scalar.end())
        return None

    def close_containers(self) -> bool:
        """Closes the containers that end here. Returns True at the next member of one that goes on."""
        while self._closings:
            closing = self._closings[-1]
            if self._sign() == ",":
                self._move(self.position + 1)
                step = self._steps[-1]
                self._steps[-1] = step + 1 if closing == "]" and isinstance(step, int) else self._read_key()
                if closing == "]" and self._sign() == "]":
                    raise self._fault(self.position, "a JSON value is missing here", _CURE)
                return True
            if self._sign() != closing:
                raise self._fault(self.position, f'"," or "{closing}" is missing here', _CURE)
            self._closings.pop()
            self._steps.pop()
            self._move(self.position + 1)
        return False

    def _read_key(self) -> str:
        match = _STRING.match(self._text, self.position)
        if match is None:
            if self._sign() == '"':
                raise _bad_string(self._text, self.position, self._fault)
            raise self._fault(self.position, "a key in quotation marks is missing here", _CURE)
        self._move(match.end())
        if self._sign() != ":":
            raise self._fault(self.position, '":" is missing after a key', _CURE)
        self._move(self.position + 1)
        return unescape(match[1])

    def _sign(self) -> str:
        return self._text[self.position : self.position + 1]

    def _move(self, position: int) -> None:
        match = _SPACE.match(self._text, position)
        self.position = match.end() if match else position


def _bad_string(text: str, position: int, fault: Fault) -> FileError:
    good = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*').match(text, position)
    at = good.end() if good else position
    if at >= len(text):
        return fault(position, "a string is not closed", "check that the file is whole")
    if text[at] == "\\":
        return fault(at, "a string has an unknown escape", r"write \\ for a backslash")
    return fault(at, "a string has a line break or control character", r"write it as \n or \uXXXX")
