"""Spells out abbreviations that models leave as they are or misread, such as `Qty`, `3 Dec` and `vc`.

An abbreviation counts only where it can be nothing else: a month beside a day or another month, `No.` before a number,
`ea.` behind one. The names of months are the abbreviated and wide months of Unicode CLDR (`common/main`, Gregorian
calendar, format). Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from latimer_server.core.abandonment import require_wanted
from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# Other work has a turn between two searches of so many code points, each of which takes some 30 ms.
_PART_CHARACTERS = 10_000
# A match with what must follow it is shorter, unless runs of spaces are in it.
_LONGEST_MATCH = 1_000

# What is behind the figure of a Portuguese weekday. A `3ª feira do livro` is the third book fair.
_WEEKDAY = (
    r"\.?ª[ -]feira\b"
    r"(?! (?:do|dos|das|internacional|nacional|municipal|anual)\b| de (?!manhã|tarde|noite|madrugada|cada))"
)
_MONTHS = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sept Sep Oct Nov Dec",
    "pt": "jan fev mar abr mai jun jul ago set out nov dez",
}
_WIDE_MONTHS = {
    "en": "January February March April May June July August September September October November December",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
}
_BETWEEN = {"en": r" ?(?:[-–—/]|to|and|through|until) ?", "pt": r" ?(?:[-–—/]|a|e|até) ?"}
_BESIDE = {"en": (r"(?<=\d) ", r"(?= \d)"), "pt": (r"(?:(?<=\d)| de) ", r"(?= (?:de )?\d{4}\b)")}
# Abbreviations whose form or neighbours show what they are, and the words that they stand for.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        r"Qty\b\.?": "quantity",
        r"qty\b\.?": "quantity",
        r"QTY\b\.?": "quantity",
        r"(?<=\d )ea\b\.?": "each",
        r"[nN]o\.(?= of\s\w)": "number",
        r"No\.(?= ?\d)|(?<=\w )No\.(?= ?[{%$#<])": "number",
        r"(?<!is )(?<!was )(?<!said )(?<!says )(?<!say )(?<! a )no\.(?= ?(?:\d|[{%$#<]))": "number",
        r"Dept\.(?=\s\w)": "department",
        r"Apt\.(?= ?\d)": "apartment",
        r"Attn\b[.]?": "attention",
        r"[aA]pprox\.": "approximately",
        r"[iI]ncl\.(?=\s\w)": "including",
        r"(?<=\b1 )hr\b\.?": "hour",
        r"(?<=\d )hrs?\b\.?": "hours",
        r"(?<=\d )mins\b\.?": "minutes",
        r"(?<=\d )secs\b\.?": "seconds",
        r"(?<=\d )pcs\b\.?": "pieces",
        r"(?<=\bft 1 )in\b(?! (?:front|the|a|an|all|total)\b)": "inch",
        r"(?<=\bft \d )in\b(?! (?:front|the|a|an|all|total)\b)|(?<=\bft 1[01] )in\b": "inches",
        r"(?<=\b1 )mi\b(?:\.(?=[^\s]|\s[a-z(]))?": "mile",
        r"(?<=\d )(?<![$€£]\d )(?<![$€£]\d\d )(?<![$€£]\d\d\d )(?<![$€£]\d\.\d )mi\b(?:\.(?=[^\s]|\s[a-z(]))?": "miles",
        r"max\.(?= ?\d)": "maximum",
        r"min\.(?= ?\d)": "minimum",
        r"a\.k\.a\.": "also known as",
        r"(?<=\b1 )min(?= (?:ago|left|remaining|read)\b)": "minute",
        r"(?<=\d )min(?= (?:ago|left|remaining|read)\b)": "minutes",
        r"(?<=\b1 )sec(?= (?:ago|left|remaining)\b)": "second",
        r"(?<=\d )sec(?= (?:ago|left|remaining)\b)": "seconds",
        r"(?<=\d )sq\.? ?m\b(?:\.(?=[^\s]|\s[a-z(]))?": "square meters",
        r"(?<=\d )sq\.? ?km\b(?:\.(?=[^\s]|\s[a-z(]))?": "square kilometers",
        r"(?<=\d )sq\.? ?ft\b(?:\.(?=[^\s]|\s[a-z(]))?": "square feet",
        r"(?<=\d )sq\.? ?mi\b(?:\.(?=[^\s]|\s[a-z(]))?": "square miles",
        r"ASAP\b(?=[.,;:)!]|\s|$)": "as soon as possible",
        r"btw\b(?=,? \w)": "by the way",
        r"idk\b(?=[,.!]? \w)": "I don't know",
        r"(?<=\w )brb\b": "I'll be right back",
        r"(?:[pP]ls|[pP]lz)\b": "please",
        r"[tT]hx\b": "thanks",
        r"u(?= (?:are|can|want|have|need|know|think|going|get|see|like|doing|there|ok)\b)": "you",
        r"(?:(?<=(?:can|did|are|see) )|(?<=do )|(?<=(?:will|love) )|(?<=thank ))u(?![\w'’-]|\.\w)": "you",
        r"w/o(?=\s\w)": "without",
        r"w/(?=\s\w)": "with",
        r"Ms\.(?= [A-Z])": "Mrs.",
    },
    "pt": {
        r"vc(?!\w)": "você",
        r"Vc(?!\w)": "você",
        r"vcs(?!\w)": "vocês",
        r"(?<!\d )tbm?(?!\w)": "também",
        r"pq(?!\w)": "porque",
        r"hj(?!\w)": "hoje",
        r"obg(?!\w)": "obrigado",
        r"vlw(?!\w)": "valeu",
        r"msg(?!\w)": "mensagem",
        r"qdo(?!\w)": "quando",
        r"2ª(?= [aàe] [3-6]ª(?:[,:;.)]|$| das ))": "segunda-feira",
        r"(?<=segunda a )6ª|(?<=2ª [aàe] )6ª(?=[,:;.)]|$| das )": "sexta-feira",
        r"xíc\.": "xícaras",
        r"(?<=colher )\(sopa\)|(?<=colheres )\(sopa\)": "de sopa",
        r"(?<=colher )\(chá\)|(?<=colheres )\(chá\)": "de chá",
        r"td(?= bem\b)": "tudo",
        r"qnd(?!\w)": "quando",
        r"agr(?!\w)": "agora",
        r"blz(?!\w)": "tudo bem",
        r"tô(?= \w+ndo\b)": "estou",
        r"to(?= \w+ndo\b)": "estou",
        r"dps(?!\w)": "depois",
        r"aq(?!\w)": "aqui",
        r"cmg(?!\w)": "comigo",
        r"ctg(?!\w)": "contigo",
        r"vdd(?!\w)": "verdade",
        r"msm(?!\w)": "mesmo",
        r"ngm(?!\w)": "ninguém",
        r"fds(?!\w)": "fim de semana",
        r"pfv(?!\w)": "por favor",
        rf"\b2{_WEEKDAY}": "segunda-feira",
        rf"\b3{_WEEKDAY}": "terça-feira",
        rf"\b4{_WEEKDAY}": "quarta-feira",
        rf"\b5{_WEEKDAY}": "quinta-feira",
        rf"\b6{_WEEKDAY}": "sexta-feira",
        r"séc\.(?= ?[IVXL\d])": "século",
        r"Séc\.(?= ?[IVXL\d])": "Século",
        r"Prof[ªa]\.": "professora",
        r"[aA]pto\.(?= ?\d)": "apartamento",
        r"Depto\.(?=\s\w)": "departamento",
        r"[oO]bs\.(?=:)": "observação",
        r"Ex\.(?=:)": "exemplo",
        r"Quant\.(?=:)": "quantidade",
        r"(?<=[oa] )unit\.": "unitário",
        r"resid\.": "residência",
        r"[eE]nd\.(?=:)": "endereço",
        r"[tT]el\.(?=:| )": "telefone",
        r"Cel\.(?=:| )": "celular",
        # Models read `número 12` behind a noun as a count of things.
        r"[nN]\.?[º°](?= ?\d)": "Nº",
        r"[nN]\.?[º°](?= ?(?:[{%$#<]|[A-Z]+[-/]?\d|[A-Z]+-)| de )": "número",
        r"[nN]\.(?:º|°|o)s(?= ?[{%$#<])": "números",
        r"Exmo\. S(?:enho)?r\.?(?!a)": "prezado senhor",
        r"Exma\. S(?:enho)?ra\.?": "prezada senhora",
        r"Prezad[ao](?= (?:S(?:enho)?ra|Dra|Prof[aª]|Ministra|Diretora)\b)": "prezado",
        r"Prezad[oa]\(a\)(?= \w)": "prezado",
        r"Vedado(?= (?:a|o|as|os)\s)": "é proibido",
        r"Vedada(?= (?:a|o|as|os)\s)": "é proibida",
        r"p/(?=\s\w)": "para",
        r"c/(?=\s\w)": "com",
        r"Qtde?\b\.?": "quantidade",
        r"qtde?\b\.?": "quantidade",
        r"(?<=\d )un\.": "unidades",
    },
}
# Each abbreviation contains one of these words, as punctuation and spaces divide them.
_STEMS = {
    "en": """
        Qty qty QTY ea No no w/o w/ Ms Dept Apt Attn Approx approx Incl incl hr hrs mins secs sec sq pcs mi ft max min k
        ASAP btw idk brb pls Pls plz Plz thx Thx u
    """,
    "pt": """
        vc Vc vcs tb tbm pq hj obg vlw msg qdo p/ c/ Qtd Qtde qtd qtde un qnd 2ª feira ª-feira 2ª-feira
        3ª-feira 4ª-feira 5ª-feira 6ª-feira séc Séc xíc sopa chá td agr blz tô to
        dps aq cmg ctg vdd msm ngm fds pfv Profa Profª Apto apto Depto Obs obs Ex Quant unit resid End end Tel tel
        Cel n N nº Nº n° N° Exmo Exma Prezada Prezado Vedada Vedado
    """,
}


@dataclass(frozen=True)
class _Table:
    """The abbreviations of a language: a pattern of all, and those of one month and of two with a word between.

    `stems`: a text without any of these words has none. `day`: a pattern of a month behind its day, which models read
    best as `December 3`; None if they need no other order.
    """

    stems: frozenset[str]
    words: re.Pattern[str]
    meanings: tuple[str, ...]
    month: re.Pattern[str]
    months: re.Pattern[str]
    day: re.Pattern[str] | None
    names: Mapping[str, str]


def spell_out_abbreviations(guarded: ProtectedText, language: str) -> Iterator[Edit]:
    """Yields the replacement of abbreviations by their words, outside protected spans; ascending.

    `language`: BCP-47 code of the text. Yields nothing for a language without a table.
    """
    parts = list_unprotected(guarded)
    for span, word in _find(guarded.text, language):
        place = bisect_right(parts, span.start, key=lambda part: part.start) - 1
        if place >= 0 and span.end <= parts[place].end:
            yield Edit(span.start, span.end, _follow_case(guarded.text, span, word))


def find_abbreviations(text: str, language: str) -> Iterator[TextSpan]:
    """Yields the spans of the abbreviations with the character behind them, so that no sentence ends at their stop."""
    for span, _ in _find(text, language):
        yield TextSpan(span.start, min(len(text), span.end + 2 if text[span.end - 1] == "." else span.end))


def _find(text: str, language: str) -> Iterator[tuple[TextSpan, str]]:
    table = _compile(primary_subtag(language))
    if table is None:
        return
    found: list[tuple[TextSpan, str]] = []
    # Most texts have no abbreviation, which these searches tell faster than the pattern of all words.
    if not table.stems.isdisjoint(_list_words(text)):
        found = [
            (TextSpan(*match.span()), table.meanings[(match.lastindex or 1) - 1])
            for match in _match_words(table.words, text)
        ]
    if table.month.search(text):
        days = list(table.day.finditer(text)) if table.day is not None else []
        # The model joins two such dates to one range.
        days = days if len(days) == 1 else []
        for match in days:
            month = table.names[match["month"].rstrip(".").lower()]
            year = f", {match['year']}" if match["year"] else ""
            found.append((TextSpan(*match.span()), f"{month} {match['day']}{year}"))
        for match in table.months.finditer(text):
            if any(day.start() < match.end() and match.start() < day.end() for day in days):
                continue
            found += [
                (TextSpan(*month.span()), table.names[month.group().rstrip(".").lower()])
                for month in table.month.finditer(text, *match.span())
            ]
    yield from sorted(found, key=lambda pair: pair[0].start)


def _match_words(words: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yields the matches of a pattern in parts of the text, since a search holds the interpreter lock until its end."""
    last = 0
    for start in range(0, len(text), _PART_CHARACTERS):
        require_wanted()
        end = start + _PART_CHARACTERS
        for match in words.finditer(text, max(start, last), min(len(text), end + _LONGEST_MATCH)):
            if match.start() >= end:
                break
            last = match.end()
            yield match


def _list_words(text: str) -> list[str]:
    for sign in '.,:?!;()[]"“”‘’«»—–':
        text = text.replace(sign, " ")
    return text.split()


def _follow_case(text: str, span: TextSpan, word: str) -> str:
    """Returns a word with a capital, or in capitals, if its abbreviation has one and is no `No.` inside a sentence.

    The words of an acronym such as `ASAP` have a capital only where a sentence begins.
    """
    written = text[span.start : span.end].rstrip(".")
    if " " in word and written.isupper() and len(written) > 1:
        if text.isupper():
            return word.upper()
        begins = not text[: span.start].rstrip() or text[: span.start].rstrip()[-1] in ".!?:\n"
        return word[0].upper() + word[1:] if begins else word
    if len(written) > 1 and written.isupper():
        return word.upper()
    begins = span.start == 0 or text[span.start - 1] != " " or written != "No"
    return word[0].upper() + word[1:] if written[0].isupper() and begins else word


@cache
def _compile(code: str) -> _Table | None:
    if code not in _WORDS:
        return None
    words = re.compile("|".join(f"({pattern})" for pattern in (rf"(?<![\w./-]){word}" for word in _WORDS[code])))
    large = "|".join(_MONTHS[code].split())
    month = rf"(?:{large})\b\.?"
    before, behind = _BESIDE[code]
    months = rf"{before}{month}|(?<!\w){month}{behind}|(?<!\w){month}{_BETWEEN[code]}{month}"
    names = dict(zip(_MONTHS[code].lower().split(), _WIDE_MONTHS[code].split(), strict=True))
    day = rf"(?<![\w.,/-])(?P<day>\d{{1,2}}) (?P<month>{large})\b\.?(?: (?P<year>\d{{4}})\b)?" if code == "en" else ""
    return _Table(
        frozenset(_STEMS[code].split()),
        words,
        tuple(_WORDS[code].values()),
        re.compile(month),
        re.compile(months),
        re.compile(day) if day else None,
        names,
    )
