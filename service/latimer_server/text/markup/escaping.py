"""Escapes characters of a translation that HTML, XML or Markdown would read as markup.

A translation has U+FFFC for each object that is put back later. Next to a delimiter of Markdown, it counts neither as
white space nor as punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup.document import Block, TextFormat

_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Characters to escape in HTML and XML. Only the `>` of `]]>` has a meaning in text, but every `>` is escaped if the
# block's source has a `&gt;`.
_SPECIAL = re.compile("[&<]|(?<=]])>")
_ALL_SPECIAL = re.compile("[&<>]")
_ENTITY = "&(?=#[0-9]|#[xX][0-9a-fA-F]|[A-Za-z][A-Za-z0-9]*+;)"
# Characters to escape anywhere in a line, since Markdown may begin with them. A delimiter with spaces on both sides
# begins none, nor does `_` inside a word. Line breaks become spaces, since the text of a Markdown block has none.
_INLINE = re.compile(
    rf"(?P<backslash>\\(?=[!-/:-@\[-`{{-~]|\ufffc|\Z))|(?P<plain>[`\[\]]|<(?=[A-Za-z/!?])|{_ENTITY})"
    r"|(?P<delimiter>(?<!\s)(?<!\A)[*~]|[*~](?!\s|\Z)|(?<![^\W_])_++(?!\s|\Z)|(?<!\s)(?<!\A)_++(?![^\W_]))"
    r"|(?P<breaks>[ \t]*+[\r\n]++[ \t]*+)"
)
# Signs that begin a block of Markdown, such as a list, at the start of a line. Their first character is escaped, and of
# a list number the last one (`1\.`).
_LINE_START = re.compile(
    r"[ \t]*+(?:(?P<first>>|#{1,6}(?=[ \t]|$)|[-+*](?=[ \t]|$)|[-*_=](?=[-*_= \t]*+$)|:(?=[ \t]))"
    r"|[0-9]{1,9}(?P<last>[.)])(?=[ \t]|$))?+",
    re.MULTILINE,
)


def find_escapes(
    translation: str,
    block: Block,
    line_starts: Sequence[int],
    literal: Sequence[TextSpan] = (),
    marked: Sequence[int] = (),
) -> dict[int, tuple[int, str]]:
    """Returns the parts of `translation` to escape: a dict from their start to their end and the text to write instead.

    `block`: the translated block, which has the format. `line_starts`: the offsets in `translation` at which a line of
    Markdown will begin. `literal`: the spans of Markdown in which nothing is escaped. `marked`: the offsets of
    delimiters; a sign beside one is escaped, because both would be read together.
    """
    escapes: dict[int, tuple[int, str]] = {}
    if block.format is TextFormat.MARKDOWN:
        _escape_markdown(translation, block, line_starts, escapes)
        # Delimiters around a whole block are outside of it.
        _escape_beside_marks(translation, [0, *marked, len(translation)], escapes)
        for span in literal:
            for position in range(span.start, span.end):
                escapes.pop(position, None)
    elif block.format is not TextFormat.PLAIN:
        for match in (_ALL_SPECIAL if "&gt;" in block.source else _SPECIAL).finditer(translation):
            escapes[match.start()] = (match.end(), _REFERENCES[match[0]])
    if block.spellings:
        for match in re.finditer("[" + re.escape("".join(block.spellings)) + "]", translation):
            escapes.setdefault(match.start(), (match.end(), block.spellings[match[0]]))
    return escapes


def _escape_markdown(
    translation: str, block: Block, line_starts: Sequence[int], escapes: dict[int, tuple[int, str]]
) -> None:
    keeps_brackets = "[" in block.text and "\\[" not in block.source and "\\]" not in block.source
    for match in _INLINE.finditer(translation):
        if keeps_brackets and _is_literal_bracket(translation, match.start()):
            continue
        breaks = match["breaks"] is not None
        escapes[match.start()] = (match.end(), " " if breaks else "".join("\\" + sign for sign in match[0]))
    for start in line_starts:
        line = _LINE_START.match(translation, start)
        if line is None or block.in_table:
            continue
        for name in ("first", "last"):
            if line[name] is not None:
                at = line.start(name)
                escapes[at] = (at + 1, "\\" + translation[at])
    if block.in_table:
        for match in re.finditer(r"\|", translation):
            escapes[match.start()] = (match.end(), "\\|")


def _is_literal_bracket(translation: str, at: int) -> bool:
    """Returns True for a bracket that begins and ends no link, if the source has such brackets without a backslash too.

    They may be footnotes or links of a wiki (`[^1]`, `[[page]]`), which a backslash would destroy.
    """
    return translation[at] == "[" or (translation[at] == "]" and translation[at + 1 : at + 2] not in ("(", ":"))


def _escape_beside_marks(translation: str, marked: Sequence[int], escapes: dict[int, tuple[int, str]]) -> None:
    """Adds the escapes of signs beside delimiters: a backslash before one, and `*`, `_` and `~` on both sides."""
    for at in marked:
        if at > 0 and translation[at - 1] == "\\":
            escapes[at - 1] = (at, "\\\\")
        for position in range(max(0, at - 1), min(at + 1, len(translation))):
            if translation[position] in "*_~":
                escapes.setdefault(position, (position + 1, "\\" + translation[position]))
