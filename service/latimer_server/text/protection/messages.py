"""Finds the structure of plural and select arguments in messages, so that the texts inside can be translated.

Source: ICU MessageFormat's pattern syntax, `{count, plural, one {# file} other {# files}}`. The structure is everything
but the messages: names, keywords, selectors and braces. Takes linear time. Pure functions.
"""

from __future__ import annotations

import re

from latimer_server.core.spans import TextSpan

_TOKEN = re.compile(
    r"'[{}][^']*+'|(?P<head>\{\s*+[\w.]++\s*+,\s*+(?P<kind>plural|select|selectordinal)\s*+,(?:\s*+offset:\d++)?)|[{}#]"
)
_SELECTOR = re.compile(r"\s*+(?:=\d++|[\w-]++)\s*+")
_MOST_DEPTH = 16


def find_structure(text: str) -> list[TextSpan]:
    """Returns the spans of the structure of all plural and select arguments, ascending and disjoint.

    The sign `#`, which stands for the number in a plural, is a span too. Arguments without an end are left out.
    """
    if "{" not in text or ("plural" not in text and "select" not in text):
        return []
    reader = _Reader(text)
    complete = 0
    for match in _TOKEN.finditer(text):
        if not reader.read(match):
            break
        if not reader.opened:
            complete = len(reader.found)
    return reader.found[:complete]


class _Reader:
    """Reads the braces of a message in order, and collects the structure in `found`.

    `opened`: the open braces: the kind of an argument, `message` or `other`.
    """

    def __init__(self, text: str) -> None:
        self.found: list[TextSpan] = []
        self.opened: list[str] = []
        self._text = text
        # Where the current part of the structure begins, and where its selector begins.
        self._start = self._edge = 0

    def read(self, token: re.Match[str]) -> bool:
        """Reads the next token. Returns False if the text is no message."""
        sign = token.group()
        if token["head"]:
            return self._open_argument(token)
        if sign == "{":
            return self._open_brace(token)
        if sign == "}" and self.opened:
            self._close_brace(token)
        elif sign == "#" and "plural" in self.opened:
            self.found.append(TextSpan(*token.span()))
        return True

    @property
    def _in_argument(self) -> bool:
        return bool(self.opened) and self.opened[-1] not in ("message", "other")

    def _open_argument(self, head: re.Match[str]) -> bool:
        if self._in_argument or len(self.opened) >= _MOST_DEPTH:
            return False
        self.opened.append(head["kind"])
        self._start, self._edge = head.span()
        return True

    def _open_brace(self, brace: re.Match[str]) -> bool:
        if not self._in_argument:
            self.opened.append("other")
            return True
        self.found.append(TextSpan(self._start, brace.end()))
        self.opened.append("message")
        return _SELECTOR.fullmatch(self._text, self._edge, brace.start()) is not None

    def _close_brace(self, brace: re.Match[str]) -> None:
        closed = self.opened.pop()
        if closed == "message":
            self._start, self._edge = brace.span()
        elif closed != "other":
            self.found.append(TextSpan(self._start, brace.end()))
