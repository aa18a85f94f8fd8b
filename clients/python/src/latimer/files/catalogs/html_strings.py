"""Tells strings of programs that are HTML from plain ones."""

from __future__ import annotations

import re

from latimer.files.document import TextForm

_TAG = re.compile(
    r"<(?:/?(?:a|b|big|body|center|code|div|em|font|h[1-6]|html|i|li|nobr|ol|p|pre|qt|s|small|span|strong|sub|sup|table"
    r"|td|th|tr|tt|u|ul)(?:\s[^<>]*)?|(?:br|hr|img)\b[^<>]*)>",
    re.IGNORECASE,
)


def string_form(text: str) -> TextForm:
    """Returns "html" for a text with tags of HTML, else "plain"."""
    return "html" if _TAG.search(text) else "plain"
