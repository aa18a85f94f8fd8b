"""Tells strings of programs that are HTML from plain ones."""

from __future__ import annotations

import re

from latimer.files.document import TextForm

_TAG = re.compile(
    r"<(?:/?(?:a|b|big|body|center|code|div|em|font|h[1-6]|html|i|li|nobr|ol|p|pre|qt|s|small|span|strong|sub|sup|table"
    r"|td|th|tr|tt|u|ul)(?:\s[^<>]*)?|(?:br|hr|img)\b[^<>]*)>",
    re.IGNORECASE,
)
_ANY_TAG = re.compile(r"(</?[A-Za-z](?:[^<>\"']|\"[^\"<>]*\"|'[^'<>]*')*>)")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&"))
_BARE_AMPERSAND = re.compile(r"&(?!#?\w+;)")


def string_form(text: str) -> TextForm:
    """Returns "html" for a text with tags of HTML, else "plain"."""
    return "html" if _TAG.search(text) else "plain"


def keep_characters(source: str, translation: str) -> str:
    """Returns a translation with the characters that its source writes without entities of HTML.

    A server writes HTML with entities, but a string such as `Tom & Jerry <b>run</b>` may also be shown as it is.
    """
    if string_form(source) != "html":
        return translation
    for entity, character in _ENTITIES:
        is_bare = character in source if character != "&" else _BARE_AMPERSAND.search(source) is not None
        if is_bare and entity not in source:
            translation = translation.replace(entity, character)
    return translation


def divide_tags(text: str) -> list[str]:
    """Returns the texts and tags of HTML in turns, with a text, which may be empty, at both ends."""
    return _ANY_TAG.split(text)
