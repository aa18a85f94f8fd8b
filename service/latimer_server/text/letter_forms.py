"""Restores words whose letters a model reads in another form, such as `𝕏` and `7ª`; single quotes and ellipses.

A character that the vocabulary of a model lacks is replaced by its compatibility form (Unicode Annex 15), so that `7ª`
is read as `7a`. Where the output has that word again, it stands for the word of the source. Pure functions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# Kinds of compatibility forms that mean something else than the plain character, by `unicodedata.decomposition`. Those
# of styled letters are lost if the word is translated; raised letters, as in `7ª`, rightly become other ones.
_STYLED = ("<font>", "<circle>", "<square>")
_KINDS = (*_STYLED, "<super>", "<sub>", "<compat>")
_WORD = re.compile(r"[^\W_]++")
# Latin letters and combining marks below this one have no compatibility form but ª and º.
_FIRST = "\u02b0"
_RAISED = frozenset("ªº")
_MOST_WORDS = 200
_ORDINAL = re.compile(r"\d{1,4}[ªº]")
_THREE_STOPS = re.compile(r"(?<!\.)\.\.\.(?!\.)")
_QUOTED = re.compile(r"(?<!\w)‘([^‘’]*+(?:(?<=\w)’(?=\w)[^‘’]*+)*+)’(?!\w)")
_OPENING_QUOTE = re.compile(r"(?<![\w'])'(?=[^\s'])")
_CLOSING_QUOTE = re.compile(r"(?<=[^\s'])'(?![\w'])")


def restore_words(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of words of an output by the word of the source that has the same plain letters."""
    for written, plain in _list_words(source):
        if written in output.text:
            continue
        # A model writes the ordinal of a title in capitals, `CLÁUSULA 3ª`, as `3A`.
        ordinal = re.IGNORECASE if _ORDINAL.fullmatch(written) else 0
        pattern = re.compile(rf"(?<!\w){re.escape(plain)}(?!\w)", ordinal)
        parts = list_unprotected(output)
        places = [match for part in parts for match in pattern.finditer(output.text, part.start, part.end)]
        if len(places) == 1 and len(re.findall(re.escape(plain), output.text, ordinal)) == 1:
            yield Edit(*places[0].span(), written)


def restore_ellipses(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of three full stops by `…`, if the source writes all its ellipses so."""
    parts = [source.text[part.start : part.end] for part in list_unprotected(source)]
    if not any("…" in part for part in parts) or any(_THREE_STOPS.search(part) for part in parts):
        return
    for part in list_unprotected(output):
        for match in _THREE_STOPS.finditer(output.text, part.start, part.end):
            yield Edit(*match.span(), "…")


def loses_style(source: ProtectedText, output: str) -> bool:
    """Returns True if the output lacks a word of the source with styled letters, such as `𝐛𝐨𝐥𝐝` or `🅱`."""
    return any(
        written not in output and any(unicodedata.decomposition(letter).startswith(_STYLED) for letter in written)
        for written, _ in _list_words(source)
    )


def restore_single_quotes(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of straight single quotation marks by `‘` and `’`, if the source has as many pairs."""
    pairs = sum(len(_QUOTED.findall(source.text, part.start, part.end)) for part in list_unprotected(source))
    if not pairs or "‘" in output.text:
        return
    parts = list_unprotected(output)
    opening = [match for part in parts for match in _OPENING_QUOTE.finditer(output.text, part.start, part.end)]
    closing = [match for part in parts for match in _CLOSING_QUOTE.finditer(output.text, part.start, part.end)]
    if len(opening) == len(closing) == pairs:
        yield from (Edit(*match.span(), "‘") for match in opening)
        yield from (Edit(*match.span(), "’") for match in closing)


def _list_words(source: ProtectedText) -> Iterator[tuple[str, str]]:
    """Yields the words of a text with letters that have another plain form, each once, and their plain form."""
    if all(letter < _FIRST and letter not in _RAISED for letter in source.text):
        return
    seen: set[str] = set()
    for part in list_unprotected(source):
        for match in _WORD.finditer(source.text, part.start, part.end):
            word = match.group()
            if word in seen or word.isascii() or len(seen) >= _MOST_WORDS:
                continue
            if any(unicodedata.decomposition(letter).startswith(_KINDS) for letter in word):
                seen.add(word)
                yield word, unicodedata.normalize("NFKC", word)
