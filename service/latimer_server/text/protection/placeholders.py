"""Finds the placeholders that are protected in every text, since prose hardly ever resembles them.

Sources: C99 7.19.6.1 and Python's `%` (printf), Python's and .NET's format strings, the simple arguments of ICU
MessageFormat, mustache(5), ERB, Qt's QString::arg, Laravel's `:name`, i18next's `$t(key)`, the numbered tags of
react-i18next and the formulas of TeX. Requests can name whole syntaxes, see `syntaxes`. Every pattern takes linear
time in the text. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.messages import find_structure
from latimer_server.text.protection.spans import widen_span

_TYPES = "number|date|time|ordinal|duration|spellout|choice|list"
# Anything in double braces (mustache, Jinja), or in braces after a sign (shell, Ruby); a name, number or expression in
# braces (Python, .NET, ICU). A backslash before a brace makes it a character, except between two placeholders.
_BRACED = re.compile(
    r"\{\{\{[^{}\n]{1,128}\}\}\}|\{\{[^{}\n]{1,128}\}\}|\{%[^{}\n]{1,128}%\}|\$\{[^{}\n]{1,128}\}|"
    r"(?:[#%]|(?<!\\)|(?<=\}\\))(?:"
    r"\{[ \t]?\$?[^\W\d][\w.-]{0,63}(?:\[[\w.'\"-]{1,32}\])?[ \t]?(?:![rsa])?(?::[^{}\s]{1,16})?\}|"
    r"\{\d{1,3}(?:,-?\d{1,2})?(?::[^{}\n]{1,48})?\}|\{(?:![rsa])?(?::[^{}\s]{1,16})?\}|"
    rf"\{{[ \t]?\w{{1,64}}[ \t]?,[ \t]?(?:{_TYPES})[ \t]?(?:,[^{{}}\n]{{1,64}})?\}})"
)
# The ending of an ordinal number, as in `{}th`.
_ORDINAL = re.compile(r"(?:st|nd|rd|th)(?!\w)")
_LENGTHS = "(?:hh|h|ll|l|q|j|z|t|L|I64|I32)?"
# A letter may follow only a placeholder with a name or number, because `%s` may begin a word (`100 %sure`), or the unit
# of a number.
_UNITS = "(?:s|ms|m|h|d|x|px|em|pt|th|st|nd|rd|k|K|M|B|[kKMGT]i?B|bps|min|sec|cm|mm|km|kg|C|F)(?!\\w)"
_PRINTF = re.compile(
    rf"(?<![\d%])%(?:(?:\(\w{{1,64}}\)|\d{{1,2}}\$)[-+#0']?\d{{0,3}}(?:\.\d{{1,2}})?{_LENGTHS}[sdiufxXcgGeEpaAr@]"
    rf"|[-+#0']?(?:\d{{1,3}}|\*)?(?:\.(?:\d{{1,2}}|\*))?{_LENGTHS}(?:[sdiufxXcgGeEpaA@](?!\w)|[duf]{_UNITS}))"
)
_PERCENT = re.compile("%%")
# `x%sy`: a placeholder inside a word, which begins no word itself.
_INNER_PRINTF = re.compile(r"(?<=[A-Za-z_])%[sd](?=[A-Za-z_])")
# Qt's `%1` and `%n`, and names between percent signs.
_PERCENT_NAME = re.compile(r"(?<![\w%])%(?:L?\d{1,2}(?![\w%])|n(?!\w)|[A-Za-z_][\w.-]{0,63}%(?!\w))")
_EMBEDDED = re.compile(r"<[%?](?:[^%?<>\n]|[%?](?!>)|-(?=>)|=(?=>)|(?<=[=-])>){0,256}+[%?]>")
# Numbered tags, and the control tokens of language models such as `<|end|>`.
_NUMBERED_TAG = re.compile(r"</?\d{1,3}\s?/?>|<\|[\w.-]{1,32}\|>")
_COLON_NAME = re.compile(r"(?<![^\s(\"'“‘«\[/-]):[A-Za-z][A-Za-z_]{1,63}\b(?![\w:])")
_BRACKETED = re.compile(r"\[\[(?:[^\s\[\]|]{1,64}|[A-ZÀ-Þ][^\n\[\]|]{1,64})\]\]")
_LINK_TARGET = re.compile(r"\]\([^()\s]{1,256}\)")
# Keys of JSON and of Apple's string files before their value.
_KEY = re.compile(r"\"[A-Za-z_][\w.-]{0,63}\"[ \t]{0,4}[:=](?=[ \t]{0,4}[\"\[{])")
# Lines of PO files, directives and roles of reStructuredText, and lines behind the prompt of a shell.
_PO_KEY = re.compile(r"^[ \t]*+msg(?:id_plural|id|str|ctxt)(?:\[\d\])? (?=\")", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*+\.\. [\w-]{1,32}::(?!\S)|(?::[\w+.-]{1,32}){1,3}:(?=`)", re.MULTILINE)
_PROMPT = re.compile(r"^[ \t]*+\$ (?=[a-z./~])[^\n]*+$", re.MULTILINE)
# An option with the name of its value in a help text, as in `-o FILE`.
_OPTION_VALUE = re.compile(r"(?<!\S)--?[A-Za-z][\w-]{0,64}[ =][A-Z][A-Z0-9_-]{1,32}(?=  |,|$)", re.MULTILINE)
_DOLLAR_NAME = re.compile(r"(?<![\w$])\$(?:t\([^()\n]{1,128}\)|[A-Za-z_]\w{0,63}(?![\w(]))")
# A formula between dollar signs. As in Pandoc, no space is inside beside them, and no digit behind the second one.
_FORMULA = re.compile(r"(?<![\w$\\])(?:\$\$[^$]{1,400}\$\$|\$(?![\s$])[^$\n]{1,200}(?<!\s)\$(?![\w$]))")
_PROSE_WORDS = re.compile(r"(?<![\\\w{])[A-Za-z]{3,}")
_FORMULA_SIGN = re.compile(r"[\\^_={}<>+*/|]")
# Commands of TeX, whose argument is a name or an address.
_NAMING = (
    "ref|eqref|pageref|autoref|cref|cite[a-z]{0,8}|label|url|href|input|include|includegraphics|usepackage|"
    "documentclass|begin|end|bibliography|bibliographystyle|vspace|hspace"
)
_COMMAND = re.compile(
    rf"(?<![\w}}:\\])\\(?:(?:{_NAMING})\*?(?:\[[^\[\]\n]{{0,64}}\])?\{{[^{{}}\n]{{0,128}}\}}|"
    r"(?![ntr][A-Z])[A-Za-z]{2,32}\*?(?:\[[^\[\]\n]{0,64}\])?(?:\{(?=(?P<text>[^{}\n]{0,400})\}))?)"
)
# The five fields of a schedule of cron(5), one of which is a star, and the bars around a spoiler of Discord.
_CRON = re.compile(r"(?<!\S)(?=[\d,/ -]{0,40}\*)(?:[\d*][\d*/,-]{0,16} ){4}[\d*][\d*/,-]{0,16}(?!\S)")
_SPOILER = re.compile(r"\|\|")
# Marks of the items of a list inside a sentence: `(a) the buyer; (b) the seller`.
_ITEM = re.compile(r"(?<!\S)\((?:[a-z]|[ivx]{1,5}|\d{1,2})\)(?=\s)")
# Patterns after a sign that all matches contain. A text without the sign need not be searched.
_SIGNED = (
    ("<", _EMBEDDED),
    ("<", _NUMBERED_TAG),
    (":", _COLON_NAME),
    ("[[", _BRACKETED),
    ("](", _LINK_TARGET),
    ('"', _KEY),
    ("-", _OPTION_VALUE),
    ("msg", _PO_KEY),
    ("::", _DIRECTIVE),
    (":`", _DIRECTIVE),
    ("$ ", _PROMPT),
    ("$", _DOLLAR_NAME),
    ("%", _PERCENT_NAME),
    ("* ", _CRON),
    ("||", _SPOILER),
    ("(", _ITEM),
)


def find_placeholders(text: str) -> Iterator[TextSpan]:
    """Yields the spans of the placeholders that are protected in every text; in no order, and possibly overlapping."""
    if "{" in text:
        for match in _BRACED.finditer(text):
            if not _is_argument(text, match.start()):
                ordinal = _ORDINAL.match(text, match.end())
                yield TextSpan(match.start(), ordinal.end() if ordinal else match.end())
        yield from find_structure(text)
    if "%" in text:
        yield from _find_printf(text)
    if "\\" in text or "$" in text:
        yield from _find_tex(text)
    for sign, pattern in _SIGNED:
        if sign in text:
            yield from (TextSpan(*match.span()) for match in pattern.finditer(text))


def _find_tex(text: str) -> Iterator[TextSpan]:
    """Yields the spans of TeX's commands, with the braces around a text, and of formulas."""
    for match in _COMMAND.finditer(text):
        yield TextSpan(*match.span())
        if match["text"] is not None:
            yield TextSpan(match.end("text"), match.end("text") + 1)
    if text.count("$") > 1:
        yield from (TextSpan(*match.span()) for match in _FORMULA.finditer(text) if _is_formula(match.group()))


def _find_printf(text: str) -> Iterator[TextSpan]:
    found = [TextSpan(*match.span()) for match in _PRINTF.finditer(text)]
    end = 0
    for match in _INNER_PRINTF.finditer(text):
        if match.start() >= end:
            found.append(widen_span(text, TextSpan(*match.span())))
            end = found[-1].end
    yield from found
    # In a text with such placeholders two percent signs stand for one, and one would begin another placeholder.
    yield from (TextSpan(*match.span()) for match in _PERCENT.finditer(text if found else ""))


def _is_formula(written: str) -> bool:
    """Returns True if a text between dollar signs is a formula: without words of prose, and no sum of money."""
    content = written.strip("$").strip()
    if _PROSE_WORDS.search(content) and not ("\\" in content or "^" in content or "_" in content):
        return False
    return content[:1].isalpha() or _FORMULA_SIGN.search(content) is not None


def _is_argument(text: str, start: int) -> bool:
    """Returns True if the braces at `start` are the argument of a TeX command: a word behind a backslash."""
    position = start
    while position > 0 and text[position - 1].isalpha():
        position -= 1
    return 0 < position < start and text[position - 1] == "\\"
