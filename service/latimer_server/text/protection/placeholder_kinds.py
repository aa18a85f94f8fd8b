"""Tells what a placeholder stands for: a number, a person or another word, by its conversion or its name.

Reads the syntaxes of `builtin` and `syntaxes`: printf (C99 7.19.6.1, Python's `%`), braces (Python's `str.format`, ICU,
.NET), mustache, shell, Ruby. Pure functions.
"""

from __future__ import annotations

import re
from enum import Enum


class SpanKind(Enum):
    """What a protected span stands for. OTHER: no placeholder, or one of a syntax that is not known here."""

    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    PERSON = "person"
    WORD = "word"
    OTHER = "other"


_PRINTF = re.compile(
    r"%(?:\((?P<name>\w{1,64})\)|\d{1,2}\$)?[-+ #0',]{0,4}(?:\d{1,4}|\*)?(?:\.(?:\d{1,3}|\*)?)?"
    r"(?:hh|h|ll|l|L|q|j|z|t|I64|I32)?(?P<conversion>[diouxXeEfFgGaAncsSp@])"
)
_BRACED = re.compile(
    r"(?:[$#%@]?\{|\{\{\{?\s{0,4}|\[\[\s{0,4})(?P<name>[\w.-]{0,64})(?:![rsa])?"
    r"(?:,\s{0,4}(?P<type>number)?[^{}:]{0,32})?(?::(?P<format>[^{}\s]{0,16}))?\s{0,4}(?:\}{1,3}|\]\])"
)
_NAMED = re.compile(r":(?P<name>[a-z]\w{0,63})|%(?P<position>\d{1,2})|\$(?P<variable>[A-Za-z_]\w{0,63})")
# Dates and times that are protected as they are: 2024-05-17, 17/05/2024, 17h30.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{4}")
_TIME = re.compile(r"\d{1,2}[h:]\d{2}")
_UNNAMED = re.compile(r"%(?:\d{1,2}\$)?[s@]|%\d{1,2}|\{\d{0,2}\}")
# A format of Python or .NET that only numbers have.
_NUMBER_FORMAT = re.compile(r"[<>=^+, 0-9.]{0,8}[bdeEfFgGnoxX%]|[NPDCFEGR]\d{0,2}|[#0,.]+")
_PERCENT = re.compile("%%?")
# Signs that join numbers to one, such as a time, a fraction or a range.
_JOINT = re.compile("[-:/.,–x]")
_PARTS = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])")
# Words in the names of placeholders for numbers, and for people, in English and Portuguese.
_COUNTS = frozenset(
    re.findall(
        r"\w+",
        "count counts counter n num number nr total totals size sizes length len amount quantity qty limit limits"
        " max min maximum minimum percent percentage pct ratio progress score scores points point level age year years"
        " month months week weeks day days hour hours minute minutes mins second seconds sec secs ms index position"
        " offset page pages row rows column columns line lines width height depth port pid bytes kb mb gb megabytes"
        " seats votes likes views attempts retries tries steps step remaining quantidade qtd número numero contagem"
        " tamanho máximo mínimo"
        " porcentagem restante restantes quantia idade"
        " dias horas minutos segundos semanas meses anos páginas página linhas linha itens pontos",
    )
)
_PEOPLE = frozenset(
    re.findall(
        r"\w+",
        "name user username author sender recipient receiver owner person member friend contact customer client"
        " employee teacher student patient guest player admin administrator moderator creator editor assignee reviewer"
        " manager nickname nick fullname firstname lastname inviter follower participant nome usuário usuario"
        " autor remetente"
        " destinatário cliente aluno professor amigo pessoa",
    )
)
_DATES = frozenset({"date", "datetime", "timestamp", "deadline", "data", "prazo", "vencimento"})
_TIMES = frozenset({"time", "clock", "hora", "horário"})
_QUALIFIERS = frozenset({"first", "last", "full", "display", "given", "family", "nick", "user", "real", "short", "new"})


def find_kind(text: str) -> SpanKind:
    """Returns the kind of a protected span with this text: one placeholder, or several that signs join.

    `%d`, `{count}` and `%d:%02d` are numbers, `{name}` and `{{user}}` are people, `%s` and `{file}` are other words.
    Also finds dates and times: `{due_date}` and `2024-05-17`, `{time}` and `17h30`.
    """
    if _DATE.fullmatch(text):
        return SpanKind.DATE
    if _TIME.fullmatch(text):
        return SpanKind.TIME
    kinds = set()
    position = 0
    while position < len(text):
        match = _match_placeholder(text, position)
        if match is None:
            return SpanKind.OTHER
        kinds.add(_read_kind(match))
        position = match.end()
        if percent := _PERCENT.match(text, position):
            position = percent.end()
        if position < len(text):
            if not _JOINT.match(text, position):
                return SpanKind.OTHER
            position += 1
    return kinds.pop() if len(kinds) == 1 else SpanKind.WORD if kinds else SpanKind.OTHER


def is_unnamed(text: str) -> bool:
    """Returns True for a placeholder whose kind only the words around it tell, such as `%s` and `{0}`."""
    return _UNNAMED.fullmatch(text) is not None


def _match_placeholder(text: str, position: int) -> re.Match[str] | None:
    for pattern in (_PRINTF, _BRACED, _NAMED):
        if match := pattern.match(text, position):
            return match
    return None


def _read_kind(match: re.Match[str]) -> SpanKind:
    groups = match.groupdict()
    if groups.get("conversion") and groups["conversion"] not in "csSp@":
        return SpanKind.NUMBER
    if groups.get("type") or (groups.get("format") and _NUMBER_FORMAT.fullmatch(groups["format"])):
        return SpanKind.NUMBER
    return _read_name(groups.get("name") or groups.get("variable") or "")


def _read_name(name: str) -> SpanKind:
    """Returns the kind of a placeholder with this name: the words of `num_items`, `maxLength` and `user.name` count."""
    words = [part.lower() for part in _PARTS.findall(name)]
    if not words:
        return SpanKind.WORD
    if words[-1] in _COUNTS or words[0] in _COUNTS or words[-1] == "id":
        return SpanKind.NUMBER
    if words[-1] in _DATES or words[-1] in _TIMES:
        return SpanKind.DATE if words[-1] in _DATES else SpanKind.TIME
    is_person = words[-1] in _PEOPLE and (_PEOPLE | _QUALIFIERS).issuperset(words)
    return SpanKind.PERSON if is_person else SpanKind.WORD
