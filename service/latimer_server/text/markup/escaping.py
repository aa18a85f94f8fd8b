"""What characters of a translation must be written as, so that they are text in HTML, XML or Markdown.

Knows nothing of marks but what stands for them: a U+FFFC is no white space and no punctuation of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from latimer_server.text.markup.document import Block, TextFormat

_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# A > ends nothing here but a CDATA section; it is written as the block itself writes it.
_SPECIAL = re.compile("[&<]|(?<=]])>")
_ALL_SPECIAL = re.compile("[&<>]")
_ENTITY = "&(?=#[0-9]|#[xX][0-9a-fA-F]|[A-Za-z][A-Za-z0-9]*+;)"
# What begins markup wherever it stands. Delimiters do where what they touch is no space on both sides; `_` does not
# inside a word either. No translation has a line break where its source had none.
_INLINE = re.compile(
    rf"(?P<backslash>\\(?=[!-/:-@\[-`{{-~]|\ufffc|\Z))|(?P<plain>[`\[\]]|<(?=[A-Za-z/!?])|{_ENTITY})"
    r"|(?P<delimiter>(?<!\s)(?<!\A)[*~]|[*~](?!\s|\Z)|(?<![^\W_])_++(?!\s|\Z)|(?<!\s)(?<!\A)_++(?![^\W_]))"
    r"|(?P<breaks>[ \t]*+[\r\n]++[ \t]*+)"
)
# What begins a block at the start of a line: it, or its last character, is escaped.
_LINE_START = re.compile(
    r"[ \t]*+(?:(?P<first>>|#{1,6}(?=[ \t]|$)|[-+*](?=[ \t]|$)|[-*_=](?=[-*_= \t]*+$)|:(?=[ \t]))"
    r"|[0-9]{1,9}(?P<last>[.)])(?=[ \t]|$))?+",
    re.MULTILINE,
)


def find_escapes(translation: str, block: Block, line_starts: Sequence[int]) -> dict[int, tuple[int, str]]:
    """For each place in `translation` that can't come out as it is: up to where, and what is written instead.

    `line_starts` are the places where a line of Markdown begins.
    """
    found: dict[int, tuple[int, str]] = {}
    if block.format is TextFormat.MARKDOWN:
        _escape_markdown(translation, block, line_starts, found)
    else:
        for match in (_ALL_SPECIAL if "&gt;" in block.source else _SPECIAL).finditer(translation):
            found[match.start()] = (match.end(), _REFERENCES[match[0]])
    if block.spellings:
        for match in re.finditer("[" + re.escape("".join(block.spellings)) + "]", translation):
            found.setdefault(match.start(), (match.end(), block.spellings[match[0]]))
    return found


def _escape_markdown(
    translation: str, block: Block, line_starts: Sequence[int], found: dict[int, tuple[int, str]]
) -> None:
    for match in _INLINE.finditer(translation):
        breaks = match["breaks"] is not None
        found[match.start()] = (match.end(), " " if breaks else "".join("\\" + sign for sign in match[0]))
    for start in line_starts:
        line = _LINE_START.match(translation, start)
        if line is None or block.in_table:
            continue
        for name in ("first", "last"):
            if line[name] is not None:
                at = line.start(name)
                found[at] = (at + 1, "\\" + translation[at])
    if block.in_table:
        for match in re.finditer(r"\|", translation):
            found[match.start()] = (match.end(), "\\|")
