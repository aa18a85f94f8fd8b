"""Finds names of programs in prose without backticks: values such as `None`, quoted and joined names, hosts with ports.

A word of prose may have such a form, so each needs a word before it that says what it names (`package my-project`), or
the line of a compiler or of git. Every pattern takes linear time in the text. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan

# What programs name, in English and Portuguese.
_NAMED = (
    "package|module|branch|repository|repo|container|service|image|plugin|library|command|crate|gem|host|server|user"
    "|group|project|program|variable|function|method|class|attribute|argument|parameter|option|flag|file|directory|folder"
    "|column|table|field|key|type|property|identifier|symbol|keyword|target|task|job|pod|node|volume|device|interface"
    "|relation|database|schema|index|constraint|named|called|relação|pacote|módulo|ramo|repositório|contêiner|serviço|imagem|biblioteca|comando|servidor|projeto|programa"
    "|variável|função|método|classe|atributo|argumento|parâmetro|opção|arquivo|ficheiro|diretório|pasta|coluna|tabela"
    "|campo|chave|tipo|propriedade|chamado|chamada"
)
_NAME_BEFORE = re.compile(rf"\b(?:{_NAMED})[ \u00a0]$", re.IGNORECASE)
_LONGEST_BEFORE = 16
# A name in quotation marks: one word of small letters, digits and signs that code has.
_QUOTED = re.compile(r"(?<![\w'\"‘“])(?:'[a-z][\w.-]{0,63}'|\"[a-z][\w.-]{0,63}\"|‘[a-z][\w.-]{0,63}’)(?![\w])")
# Words of small letters that hyphens join, with a verb, punctuation or nothing behind them; not weekdays, verbs with a
# pronoun (`chama-se`) and compounds of particles (`up-to-date`).
_JOINED = re.compile(
    r"(?<![\w/.-])(?!\w+-(?:feira|se|lo|la|los|las|me|te|nos|lhe|lhes)\b"
    r"|(?:up|on|off|in|out|well|built|so|one|line|day|step)-)[a-z][a-z0-9]{1,31}(?:-[a-z0-9]{1,32}){1,5}(?![\w/-]|\.\w)"
    r"(?=[,.;:)!?\]]|$|[ \u00a0](?:is|was|has|not|does|could|can|cannot|failed|and|or|não|foi|está|falhou|e|ou)\b)"
)
# A value in capitals inside a sentence of small letters, behind a verb or sign of code.
_NONE = re.compile(r"(?<=[a-z)=] )None(?= (?:instead|if|when|or|and|for|as|is|was)\b|[,.;:)]|$)")
_BOOLEAN = re.compile(
    r"(?:\b(?:returns?|returned|returning|to|be|is|are|was|equals|as|retorna|retornou|para|como|for|é)[ \u00a0]|= ?)"
    r"(?P<value>True|False|NULL|Null|null|nil|NaN|undefined)(?!\w)"
)
_QUOTES = ("'", '"', "‘")
_QUOTE_SIGNS = (" '", ' "', " ‘", "('", '("')
_VALUES = ("None", "True", "False", "null", "NULL", "Null", "nil", "NaN", "undefined")
_CODE_SIGN = re.compile(
    r"\w\(\)|_\w|\w=\w|[a-z][A-Z]|\b(?:[sS]ets?|[rR]eturns?|returned|returning|[dD]efaults?|[rR]etorna|definid[oa])\b"
)
# The place in a source file before a message of a compiler.
_MESSAGE = re.compile(r"^[\w./\\+-]{1,200}:\d{1,6}(?::\d{1,6})?: ", re.MULTILINE)
_MERGE = re.compile(
    r"^Merge (?:remote-tracking )?(?:branch|tag|pull request|commit)[^\n]{1,200}? into (\S{1,100})$", re.MULTILINE
)
_HOST = re.compile(r"(?<![\w.@/-])(?:[a-zA-Z0-9][\w-]{0,62}\.){0,8}[a-zA-Z][\w-]{0,62}:[1-9]\d{1,4}(?![\w:.]*\w)")
_HOST_SIGN = re.compile(r"\w:\d")


def find_identifiers(text: str) -> Iterator[TextSpan]:
    """Yields the spans of names of programs, values and hosts with ports; in no order, and possibly overlapping."""
    if text[:1] in _QUOTES or any(sign in text for sign in _QUOTE_SIGNS):
        is_message = _MESSAGE.search(text) is not None
        for match in _QUOTED.finditer(text):
            if is_message or _is_named(text, match.start()):
                yield TextSpan(*match.span())
    if "-" in text:
        for match in _JOINED.finditer(text):
            if _is_named(text, match.start()):
                yield TextSpan(*match.span())
    if any(value in text for value in _VALUES):
        yield from _find_values(text)
    if text.startswith("Merge ") or "\nMerge " in text:
        yield from (TextSpan(*match.span(1)) for match in _MERGE.finditer(text))
    if ":" in text and _HOST_SIGN.search(text):
        yield from (TextSpan(*match.span()) for match in _HOST.finditer(text) if _is_host(match.group()))


def _find_values(text: str) -> Iterator[TextSpan]:
    """Yields the spans of values of programming languages: `None`, and others in a text with a sign of code."""
    yield from (TextSpan(*match.span()) for match in _NONE.finditer(text))
    if _CODE_SIGN.search(text):
        yield from (TextSpan(*match.span("value")) for match in _BOOLEAN.finditer(text))


def _is_named(text: str, start: int) -> bool:
    return _NAME_BEFORE.search(text[max(0, start - _LONGEST_BEFORE) : start]) is not None


def _is_host(written: str) -> bool:
    """Returns True for a host with dots or hyphens and digits, or a local one: `db-03.internal:5432`."""
    host = written.rpartition(":")[0]
    return "." in host or host == "localhost" or ("-" in host and any(map(str.isdigit, host)))
