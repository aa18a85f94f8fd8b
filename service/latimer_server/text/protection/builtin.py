"""Finds the spans that are protected by default: addresses, identifiers, code, placeholders, emoji.

Words with the form of an identifier are found by `word_forms`, placeholders by `placeholders`, code by `code_spans`.
Spans that may contain spaces are found by a sign in them. Every pattern takes linear time in the text. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.addresses import find_addresses
from latimer_server.text.protection.code_spans import find_code
from latimer_server.text.protection.companies import find_companies
from latimer_server.text.protection.identifiers import find_identifiers
from latimer_server.text.protection.placeholders import find_placeholders
from latimer_server.text.protection.references import find_references
from latimer_server.text.protection.spans import widen_span
from latimer_server.text.protection.sql import find_statements
from latimer_server.text.protection.word_forms import find_words, strip_tail

_URL = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,31}://|\b(?:mailto|tel|sms|urn|doi|magnet|data|javascript):(?=[\w+/?])|\bwww\.(?=\w))"
    r"[^\s<>\"“”«»。，、；：？！（）【】`]++",
    re.IGNORECASE,
)
_CODES = (
    "EUR|USD|GBP|BRL|JPY|CHF|CNY|INR|CAD|AUD|MXN|ARS|CLP|COP|PEN|UYU|SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|ZAR|KRW|RUB|UAH|"
    "ILS|SGD|HKD|NZD|BTC|ETH|USDT"
)
# Patterns of spans that may contain spaces or be part of a word, each after a sign that all its matches contain. A text
# without the sign need not be searched.
_SIGNED = (
    ("<", re.compile(r">>[\w-]{1,32}<<|</?[A-Za-z][^\s<>]*+(?:\s[^<>]*+)?>|<!--(?:[^-<>]|-(?!->))*+-->")),
    ("@", re.compile(r"(?<![\w.+-])[\w.+-]++@(?:\[[0-9a-fA-F.:]+\]|[\w-]++(?:\.[\w-]++)+)")),
    (":\\", re.compile(r"\b[A-Za-z]:\\(?:[\w .()+@~-]{1,64}\\)*+[\w.()+@~-]*+(?<!\.)")),
    ("&", re.compile(r"&(?:[A-Za-z]\w{1,30}|#\d{1,7}|#x[0-9a-fA-F]{1,6});")),
    (":", re.compile(r"\b\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z| ?[+-]\d{2}:?\d{2})?(?![\w-])")),
    ("+", re.compile(r"\+(?<!\w\+)\d{1,3}(?:[ .-]?\(\d{1,5}\))?(?:[ .-]?\d{2,5}){2,5}(?!\w)")),
    ("+", re.compile(r"\b(?:Ctrl|Control|Alt|Shift|Cmd|Command|Meta|Super|Win|Fn)(?:\+[A-Za-z0-9]{1,10}(?!\w)){1,4}")),
    ("(", re.compile(r"\((?<!\w\()\d{2,4}\) ?\d{3,5}[ -]\d{3,4}(?!\w)")),
)
_PRIMES = re.compile("\\d++(?:[.,]\\d++)?[°′″](?:\\d++(?:[.,]\\d++)?[′″])*")
# Prose without a span to protect: numbers, words of small letters or with one capital at the start, short names such as
# `ipv4`, and the punctuation of sentences. It has neither items such as `(a)` nor patterns of dates such as
# `dd-mm-yyyy`, keys such as `"name": "Ana"` or dashes at its start.
_PROSE = re.compile(
    r"(?:(?:\((?![a-z]{1,5}\)|\d))?(?:\"(?!-)|“)?"
    r"(?:[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ÿ]*+(?:-(?!aaaa|yyyy)[a-zß-öø-ÿ]{3,}+|['’][a-zß-öø-ÿ]++)*+"
    r"|[a-z]{2,4}+\d{1,2}+|\d{1,6}+(?:\.\d{1,4}+)?%?)"
    r"(?:\"(?!:)|”)?\)?[,;:!?.]{0,3}+(?: (?:[–—] )?|$))++"
)
# Signs without which a text has no address, price with a code, emoji, or hour. Each pattern begins with one set of
# characters or one character, which makes its search fast.
_SCHEME_SIGN = re.compile(r":[\w+/?]")
_CODE_BEFORE = re.compile(r"[A-Z]{3}[ \u00a0]?[\d-]")
_CODE_BEHIND = re.compile(r"\d[ \u00a0]?[A-Z]{3}")
_EMOJI_SIGN = re.compile(
    "[\U0001f1e6-\U0001f1ff\u20e3\U0001f300-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u2300-\u23ff\ufe0f]"
)
_HOUR_SIGN = re.compile(r"h\d\d")
_CURRENCY = re.compile(rf"\b(?:{_CODES})\b(?=[ \u00a0]?[\d-])|(?<=\d)(?:{_CODES})\b|(?<=\d[ \u00a0])(?:{_CODES})\b")
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|"  # flags, keycaps
    "(?:[\U0001f300-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u2300-\u23ff]|"
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139]\ufe0f)[\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*+"
    "(?:\u200d[\U0001f300-\U0001faff\u2600-\u27bf][\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?)*+"
)
# A row of at least four equal signs, such as `-----`.
_ROW = re.compile(r"([-_=*~.!?·#+])\1{3,}+")
# Superscripts, fractions, circled digits and other symbols that tokenizers flatten to plain letters and digits.
_SHAPES = re.compile("[²³¹⁰-₟½¼¾⅐-⅞™℠®©①-⓿№℃℉µ]++")
_TRADE_MARK = re.compile("[™℠®©]++")
_RAISED = re.compile("[²³¹⁰⁴-⁹⁺-⁾]++")
# The least letters of a word that a raised number is the number of a note of.
_LEAST_NOTED = 4
_FACE_SIGN = re.compile("[:;=^<]")
_FACE = re.compile(
    r"(?<![\w:;]):[a-z0-9_+-]{2,32}:(?![\w:])|"
    r"(?<!\S)(?:[:;=][-^'o]?[)(\]\[DPpO/\\|*3]|<3|\^_\^)(?=\s|[.!?]|$)"
)
_BULLET = re.compile(r"^[ \t]*+([-–—*•·●○◦▪■▸►‣+>]|\[[ xX]\])(?=[ \t])", re.MULTILINE)
_HOUR = re.compile(r"(?<!\w)\d{1,2}h\d{2}(?!\w)")
# Patterns, each behind one that is fast and without which a text has no match.
_RARE = ((_CODE_BEFORE, _CURRENCY), (_CODE_BEHIND, _CURRENCY), (_FACE_SIGN, _FACE), (_HOUR_SIGN, _HOUR))


def find_builtin(text: str) -> Iterator[TextSpan]:
    """Yields the spans of `text` that are protected by default; in no order, and possibly overlapping.

    A `SEPARATOR` in the text counts as white space. A word behind it is no option, path or hidden file, because it may
    be the rest of a word with markup inside, as in `<i>pre</i>-built` and `<i>and</i>/or`.
    """
    yield from find_identifiers(text)
    yield from find_addresses(text)
    yield from find_companies(text)
    if _PROSE.fullmatch(text):
        return
    yield from find_placeholders(text)
    for sign, pattern in _SIGNED:
        if sign in text:
            for match in pattern.finditer(text):
                yield TextSpan(*match.span())
    if "`" in text:
        yield from find_code(text)
    yield from find_statements(text)
    if _SCHEME_SIGN.search(text) or "www." in text.lower():
        for match in _URL.finditer(text):
            yield strip_tail(text, match.start(), match.end())
    for before, pattern in _RARE:
        if before.search(text):
            yield from (TextSpan(*match.span()) for match in pattern.finditer(text))
    yield from _find_symbols("" if text.isascii() else text)
    yield from (TextSpan(*match.span()) for match in _ROW.finditer(text))
    yield from (TextSpan(*match.span(1)) for match in _BULLET.finditer(text))
    yield from find_words(text)
    yield from find_references(text)


def _find_symbols(text: str) -> Iterator[TextSpan]:
    """Yields the spans of symbols beyond ASCII: emoji, primes of angles and feet, superscripts and similar shapes."""
    if _EMOJI_SIGN.search(text):
        yield from (TextSpan(*match.span()) for match in _EMOJI.finditer(text))
    if "′" in text or "″" in text:
        yield from (TextSpan(*match.span()) for match in _PRIMES.finditer(text))
    yield from _find_shapes(text)


def _find_shapes(text: str) -> Iterator[TextSpan]:
    """Yields the spans of the words with a superscript, fraction or similar symbol, such as `cm²`.

    A mark behind a word, such as the number of a footnote, is a span without its word.
    """
    end = 0
    for match in _SHAPES.finditer(text):
        if match.start() >= end:
            span = widen_span(text, TextSpan(*match.span()))
            end = span.end
            is_mark = end == match.end() and _is_marked(text[span.start : match.start()], match.group())
            yield TextSpan(*match.span()) if is_mark else span


def _is_marked(word: str, signs: str) -> bool:
    """Returns True if `signs` behind a word are a mark that does not belong to it.

    A trade mark belongs to a name with a capital, and a power to a unit, which has at most three letters.
    """
    if not word.isalpha():
        return False
    if _TRADE_MARK.fullmatch(signs):
        return word.islower()
    return len(word) >= _LEAST_NOTED and _RAISED.fullmatch(signs) is not None
