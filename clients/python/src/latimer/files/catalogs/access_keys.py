"""Access keys of labels in user interfaces: `&Open` of Qt and Windows, `_Open` of GTK, `打开(&O)` of East Asia.

A label is translated without its sign, since a model reads `E&xit` as two words. The translation has the sign before
the same letter if it has that, else before its first letter. Text in a script without upper and lower case gets the key
in brackets behind it. No word changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The flag of a text whose key may be lost.
_KEY_LOST = "PLACEHOLDER_MISMATCH"

_LONGEST_LABEL = 200
_SIGN = re.compile(r"[&_]")
# What people write around a word: quotation marks, brackets and punctuation.
_AROUND = "\"'“”„«»‘’()[]{},.;:!?…/-–—"
_LETTERS = re.compile(r"[^\W\d_]+(?:['’/-][^\W\d_]+)*")
_BRACKETED = re.compile(r"\s*\((?P<sign>[&_])(?P<key>[A-Za-z0-9])\)")
_LITERAL = re.compile(r"&&|__")
_GTK_LABEL = re.compile(r"_[A-Z][a-z]")
# Parts of a label or translation that have no place for a key: tags, placeholders, entities, escapes and addresses.
_KEPT = re.compile(
    r"<[^<>]*>|\{[^{}]*\}|%\([^()]*\)[a-zA-Z]|%(?:\d+\$)?[-+#0 ]*\d*(?:\.\d+)?[a-zA-Z]+|%L?\d+|&[#\w]+;|\\.|\$\w+"
    r"|[a-z]+://\S+|\S+@\S+"
)
_WORD = re.compile(r"[^\W\d_]+|\d+")
_END = re.compile(r"[\s.…:：。]*(?:\t.*)?$")


@dataclass(frozen=True)
class Label:
    """A text of a user interface.

    `written`: the text in its file. `text`: without the sign of its access key. `sign`: "" if it has no key. `key`: the
    letter that the sign stands before. `is_unsure`: True if the text has a sign before a letter that may be that of a
    key, or belong to a name, and was left where it is.
    """

    written: str
    text: str
    sign: str = ""
    key: str = ""
    is_unsure: bool = False

    def write(self, translation: str) -> str:
        """Returns a translation with the access key."""
        if translation == self.text:
            return self.written
        if not self.sign or re.search(rf"(?<!{self.sign}){self.sign}[^\W_]", translation):
            return translation
        place = _find_place(translation, self.key)
        if place is not None:
            return translation[:place] + self.sign + translation[place:]
        end = _END.search(translation)
        at = end.start() if end else len(translation)
        return f"{translation[:at]}({self.sign}{self.key.upper()}){translation[at:]}"

    def find_flags(self, translation: str) -> tuple[str, ...]:
        """Returns the flag of a lost key if a sign left in the text may be a key's, and the translation has no sign."""
        return (_KEY_LOST,) if self.is_unsure and _SIGN.search(translation) is None else ()


def read_label(text: str, signs: str = "&_", *, is_gtk: bool = False) -> Label:
    """Returns a text without the sign of its access key.

    `signs`: the signs that the format has. `is_gtk`: True if the file has labels such as `_Open`, so that `se_lection`
    is a word with a key, not a name of a program.
    """
    if len(text) > _LONGEST_LABEL or not any(sign in text for sign in signs):
        return Label(text, text)
    bracketed = list(_BRACKETED.finditer(text))
    hidden = _KEPT.sub(_hide, _LITERAL.sub(_hide, text))
    found = [match.start() for match in _SIGN.finditer(hidden) if match.group() in signs]
    if len(found) != 1:
        return Label(text, text)
    at = found[0]
    sign, key = text[at], text[at + 1 : at + 2]
    if len(bracketed) == 1 and bracketed[0]["sign"] == sign:
        start, end = bracketed[0].span()
        return Label(text, text[:start] + text[end:], sign, key)
    if not key.isalnum():
        return Label(text, text)
    if _is_key(text, at, is_gtk=is_gtk):
        return Label(text, text[:at] + text[at + 1 :], sign, key)
    return Label(text, text, is_unsure=True)


def is_gtk_label(text: str) -> bool:
    """Returns True for a text that is a label of GTK beyond doubt, such as `_Open`."""
    return _GTK_LABEL.match(text) is not None and text.count("_") == 1


def _hide(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _is_key(text: str, at: int, *, is_gtk: bool) -> bool:
    """Returns True if the sign at an offset stands before the key of a word."""
    start, end = at, at + 1
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    left = text[start:at].lstrip(_AROUND)
    right = text[at + 1 : end].rstrip(_AROUND)
    if not left and right.isdigit():
        return True
    if not _LETTERS.fullmatch(left + right):
        return False
    is_initial = not left or not left[-1].isalpha()
    if text[at] == "&":
        # AT&T and R&D are names.
        return is_initial or right[0].islower()
    if is_initial:
        # `_name` alone is an identifier.
        return right[0].isupper() or (text[:1].isupper() and " " in text)
    return right.islower() and (left.istitle() or (is_gtk and left.islower()))


def _find_place(text: str, key: str) -> int | None:
    """Returns the offset for the sign: a word that begins with the key, else the letter in a word, else a first letter.

    Returns None for a text without a letter of a script with upper and lower case.
    """
    hidden = _KEPT.sub(_hide, text.partition("\t")[0])
    words = list(_WORD.finditer(hidden))
    wanted = key.casefold()
    for match in words:
        if match.group()[0].casefold() == wanted:
            return match.start()
    for match in words:
        for offset, letter in enumerate(match.group()):
            if letter.casefold() == wanted:
                return match.start() + offset
    cased = (match for match in words if match.group()[0].lower() != match.group()[0].upper())
    return next((match.start() for match in cased), None)
