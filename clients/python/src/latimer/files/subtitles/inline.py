"""Tags inside a cue: those around the whole text are set aside, those within it become markup for the server."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from latimer.files.document import TextForm
from latimer.files.subtitles.layout import TAG

_OVERRIDE = re.compile(r"\{\\([ibus])(\d?)\}$")
_ELEMENT = re.compile(r"<(/?)([a-zA-Z]+)[^<>]*>$")
_MARKUP = re.compile(r'<(span|img) id="(\d+)">|</span>')


@dataclass(frozen=True)
class Inline:
    """The text of a cue, and its tags.

    `before` and `after`: the tags around the text. `text`: in `form`; in HTML, the tag of number `n` is an element with
    that id: `span` for a pair, `img` for a single tag. `tags`: the tags as the file has them, each with the one that
    closes it, "" for a single one.
    """

    before: str
    text: str
    after: str
    form: TextForm
    tags: tuple[tuple[str, str], ...] = ()


def read_inline(payload: str, decode: Callable[[str], str]) -> Inline:
    """Returns the text of a payload. `decode`: resolves the escapes of the format in text between tags."""
    pieces = _split(payload)
    first, last = 0, len(pieces)
    while first < last and (pieces[first][1] or not pieces[first][0].strip()):
        first += 1
    while last > first and (pieces[last - 1][1] or not pieces[last - 1][0].strip()):
        last -= 1
    inner = pieces[first:last]
    if not any(is_tag for _, is_tag in inner):
        before, after = ("".join(text for text, _ in part) for part in (pieces[:first], pieces[last:]))
        return Inline(before, decode("".join(text for text, _ in inner)), after, "plain")
    first, last = _bounds(pieces)
    before, after = ("".join(text for text, _ in part) for part in (pieces[:first], pieces[last:]))
    text, tags = _write_markup(pieces[first:last], decode)
    return Inline(before, text, after, "html", tags)


def _bounds(pieces: list[tuple[str, bool]]) -> tuple[int, int]:
    """Returns the bounds of the text without tags at its ends that are single, such as a voice, or around the whole."""
    closings = _match(pieces)
    matched = {*closings, *closings.values()}
    first, last = 0, len(pieces)
    while first < last and pieces[first][1] and (first not in matched or closings.get(first) == last - 1):
        last -= first in matched
        first += 1
    while last > first and pieces[last - 1][1] and last - 1 not in matched:
        last -= 1
    return first, last


def write_inline(text: str, inline: Inline, encode: Callable[[str], str]) -> tuple[str, bool]:
    """Returns a translation with the tags of the file, and False if some of them are not in it."""
    if inline.form == "plain":
        return inline.before + encode(text) + inline.after, True
    written, position, opened = inline.before, 0, list[str]()
    missing = set(range(len(inline.tags)))
    for match in _MARKUP.finditer(text):
        written += encode(html.unescape(text[position : match.start()]))
        position = match.end()
        if match[2]:
            number = int(match[2])
            if number not in missing:
                continue
            missing.discard(number)
            tag, closing = inline.tags[number]
            written += tag
            if match[1] == "span":
                opened.append(closing)
        elif opened:
            written += opened.pop()
    written += encode(html.unescape(text[position:]))
    return written + "".join(reversed(opened)) + inline.after, not missing


def _split(payload: str) -> list[tuple[str, bool]]:
    """Returns the text and tags of a payload; True for a tag."""
    pieces: list[tuple[str, bool]] = []
    position = 0
    for match in TAG.finditer(payload):
        if match.start() > position:
            pieces.append((payload[position : match.start()], False))
        pieces.append((match.group(), True))
        position = match.end()
    if position < len(payload):
        pieces.append((payload[position:], False))
    return pieces


def _write_markup(
    pieces: list[tuple[str, bool]], decode: Callable[[str], str]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    closings = _match(pieces)
    numbers: dict[int, int] = {}
    tags: list[tuple[str, str]] = []
    written = ""
    for place, (text, is_tag) in enumerate(pieces):
        if not is_tag:
            written += html.escape(decode(text), quote=False)
        elif place in numbers:
            written += "</span>"
        else:
            closing = closings.get(place)
            if closing is not None:
                numbers[closing] = len(tags)
            written += f'<{"img" if closing is None else "span"} id="{len(tags)}">'
            tags.append((text, "" if closing is None else pieces[closing][0]))
    return written, tuple(tags)


def _match(pieces: list[tuple[str, bool]]) -> dict[int, int]:
    """Returns the place of the tag that closes each tag that is closed in order."""
    opened: list[tuple[str, int]] = []
    closings: dict[int, int] = {}
    for place, (text, is_tag) in enumerate(pieces):
        if not is_tag:
            continue
        closes, opens = _closes(text), _opens(text)
        if closes and opened and opened[-1][0] == closes:
            closings[opened.pop()[1]] = place
        elif opens:
            opened.append((opens, place))
    return closings


def _opens(tag: str) -> str | None:
    override, element = _OVERRIDE.match(tag), _ELEMENT.match(tag)
    if override and override[2] not in ("", "0"):
        return "\\" + override[1]
    return element[2].lower() if element and not element[1] else None


def _closes(tag: str) -> str | None:
    override, element = _OVERRIDE.match(tag), _ELEMENT.match(tag)
    if override and override[2] in ("", "0"):
        return "\\" + override[1]
    return element[2].lower() if element and element[1] else None
