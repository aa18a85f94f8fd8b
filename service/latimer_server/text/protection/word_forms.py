"""Finds words with a form that prose does not have: identifiers, options, file names, numbers of parts.

A word is what stands between spaces, without the brackets and punctuation around it. Words of prose that resemble such
a form, such as `file(s)`, are left alone. Every pattern takes linear time in the text. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.spans import SEPARATOR

_WORD = re.compile(r"\S++")
# A word without a match of this is prose, so it is not compared with the forms below. The pattern begins with one set
# of characters, since the search for such a pattern skips all others fast.
_SPECIAL = re.compile(
    r"[@#/\\_:=.(A-Z\d-](?:(?<=[@#/\\_:=])|(?<=[.(])(?=\w)|(?<=\()(?=\))|(?<=[a-z][A-Z])"
    r"|(?<=\d)(?:(?<=[a-fvV]\d)|(?=[a-f]|-\d))|(?<=-)(?<![\w-]-)(?=-?[A-Za-z])|(?<=[YMDAdm]{2}[-.]))"
)
_OPENING = "\"'“”‘’«»([{<¿¡*,;:!?…`"
_CLOSING = "\"'“”‘’«»)]}>.,;:!?…*"
_PARTNERS = {")": "(", "]": "[", "}": "{"}
_TOP_LEVEL = (
    "com|org|net|edu|gov|int|io|dev|app|info|eu|br|pt|uk|de|fr|es|it|nl|pl|ch|at|be|se|no|us|ca|au|jp|cn|ru|co|ai|me"
)
_EXTENSION_NAMES = """
    txt md rst pdf doc docx xls xlsx ppt pptx odt ods csv tsv json yaml yml toml xml htm html css js jsx ts tsx py
    rb go rs java kt c h cpp cc hpp sh bat ps1 sql ini cfg conf log lock png jpg jpeg gif svg webp mp3 mp4 wav zip
    tar gz bz2 xz 7z deb rpm exe dll so iso bin proto ipynb
"""
_EXTENSIONS = frozenset(_EXTENSION_NAMES.split())
# The fields of a pattern of dates and times, as in `YYYY-MM-DD`.
_FIELD = "[Yy]{4}|[Yy]{2}|MM|M|DD|dd|D|d|HH|hh|H|h|mm|ss|AAAA|aaaa"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
# The forms of words to protect. Each must match a whole word. No two quantifiers of one alternative match the same
# character, so matching takes linear time.
_FORM = re.compile(
    "|".join(
        (
            r"@\w[\w.-]*+|#\w++",  # mentions and hashtags
            rf"(?=(?:[\w-]++\.)++(?<=\.)(?:{_TOP_LEVEL})(?![\w-]))(?:[\w-]++\.)++\w++(?::\d++)?(?:[/?#]\S*+)?",  # hosts
            r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}",  # hardware addresses
            r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",  # UUID
            r"(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?:/\d+)?|(?=\S{0,39}::)[0-9a-fA-F:]{2,39}(?:/\d+)?",  # IPv6
            rf"{_OCTET}(?:\.{_OCTET}){{3}}(?::\d{{1,5}}|/\d{{1,2}})?",  # IPv4
            r"(?=[a-f]*+\d)(?=\d*+[a-f])[0-9a-f]{7,128}",  # digests
            r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",  # ISO 8601
            r"[vV]\d++(?:\.\d++)*+(?:[-+][0-9A-Za-z.+-]++)?",  # versions, without groups of thousands
            r"(?!\d{1,3}(?:\.\d{3}){2,}$)\d++(?:\.\d++){2,}(?:[-+][0-9A-Za-z.+-]++)?",
            r"\+\d[\d().-]{5,20}|\d{3,4}-\d{3,4}-\d{4}",  # telephone numbers
            r"(?:~|\.{1,2})?/[^/\s](?:[^\s]*+)|~\w*+/\S*+",  # paths
            r"[A-Za-z]:\\\S*+|\\\\[\w.-]++\\\S++",
            r"[\w.+-]++/[\w.+-]++/[\w.+/-]++",
            r"\.[a-z][\w-]*+(?:\.\w++)*+",  # .gitignore
            r"[A-Za-z_][\w.:>-]*+\([\w\"', =.-]*+\)(?:\.\w++(?:\(\))?)*+",  # calls
            r"--?[A-Za-z][\w-]*+(?:=\S++)?",  # options
            r"(?=[^_]*+_)\w++",  # snake_case
            r"\w++(?:::\w++)++(?:\(\))?|[A-Za-z_][\w.]*+=[\w./:\"'-]++",
            r"(?!(?:[a-z]?[A-Z]){0,1}(?:[a-z][A-Z]){2})[a-z]++[A-Z]\w*+",  # camelCase, but no aLtErNaTiNg letters
            r"(?=\S*\d)(?=\S*[A-Z])[A-Z0-9]++(?:[-/][A-Za-z0-9]++)++",  # part numbers
            r"\d++(?:[.,]\d++)?[eE][-+]?\d++",  # 4.2e17
            rf"(?:{_FIELD})(?:[-/.:T](?:{_FIELD}))++|(?=\S*(?:\[[:.]\w|\w:\]))\S++",  # YYYY-MM-DD, HH:MM[:ss]
        )
    )
)

# Signs that divide a list without spaces, such as `a.pdf,b.pdf`.
_LIST_SIGN = re.compile(r"[,;|]")
_MARKUP_SIGN = re.compile("[<>&\"'={}]")
# A word with an optional ending in brackets, such as `file(s)` and `aluno(a)`, which has the form of a call.
_OPTIONAL_ENDING = re.compile(r"(?:[^\W\d_]{2,64}|[oae])\((?:e?s|[aeono]|as|os|is|es|ões|en|er|in|innen|ne|r|t|te)\)s?")
# Of these endings the signs and letters are spans of their own, because a model drops them.
_PLURALS = ("(s)", "(es)")
# Of shorter words they are left to the model: `o(s)` and `da(s)` have no plural in other languages.
_LONGEST_ARTICLE = len("da(s)")
_FUNCTION_NAMES = "sin cos tan log exp max min abs sqrt sum det deg dim ker arg mod lim inf sup"
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
# A dash directly before a word that is no option: a capital with small letters, as in dialogues, or a very frequent
# small word. After one dash it must be at the start of a line or sentence (`gcc -Wall`).
_DASHED_PROSE = re.compile(
    r"--?(?:[A-Z][a-z]++(?:['’][a-z]++)?|[IAOEÉÀ]['’]?[a-z]*+|the|and|an|os|as|um|uma|it|you|we|no|não|yes|sim)"
)
_SENTENCE_END = '.!?…"”’»:'
# A word that prose emphasizes by underscores, as in `_very_ good`.
_EMPHASIZED = re.compile(r"_[^\W\d_]++_")
# A label of a user interface with a sign before its access key, as in `_Open`, `Save _As` and `Cu_t`.
_LABEL = re.compile(r"_[A-Z][a-z]*+|[A-Z][a-z]?_[a-z]{1,6}+")
_LONGEST_LABEL = 60
# A number and a word with a capital, as in `5-Star Hotel`, which has the form of a part number.
_COUNTED = re.compile(r"\d++-[A-Z][a-z]++(?:-[A-Z]?[a-z]++)*+")
# The key of a line of settings whose value is a text, as in `app.title=Welcome to the shop`.
_KEY = re.compile(
    r"^[ \t]*+([A-Za-z_][\w.-]*+[ \t]?=[ \t]?+)(?=[^\W\d_]++['’]?[^\W\d_]*+[,:;!?]?[ \t]++\S)", re.MULTILINE
)
_DOTTED_KEY = re.compile(
    r"^[ \t]*+((?:[a-z]\w*+[.-])++\w++[ \t]?=[ \t]?+)(?=[A-Z]?[a-z]++[.!?…]?+[ \t]*+$)", re.MULTILINE
)


def find_words(text: str) -> Iterator[TextSpan]:
    """Yields the spans of words that have a form of `_FORM` or are file names, without the punctuation around them.

    The words of a list without spaces are spans of their own. The keys of lines of settings are spans too.
    """
    keys = _find_keys(text) if "=" in text else {}
    for start, end in keys.items():
        yield TextSpan(start, end)
    end = 0
    for match in _SPECIAL.finditer(text):
        if match.start() < end:
            continue
        start = match.start()
        while start > end and not text[start - 1].isspace():
            start -= 1
        word = _WORD.match(text, start)
        end = word.end() if word else match.end()
        if start in keys:
            end = max(start + 1, keys[start])
        else:
            yield from _find_in_word(text, start, end)


def _find_in_word(text: str, start: int, end: int) -> Iterator[TextSpan]:
    """Yields the spans to protect in what stands between two spaces."""
    core = _strip(text, start, end)
    form = text[core.start : core.end]
    if start > 0 and text[start - 1] == SEPARATOR and form[:1] in ("-", "/", "."):
        return
    if not _is_protected(form):
        if _LIST_SIGN.search(form) and not _MARKUP_SIGN.search(form):
            yield from _find_in_list(text, core)
    elif not _is_prose(text, core, form):
        yield core
    elif form.endswith(_PLURALS) and len(form) > _LONGEST_ARTICLE:
        yield TextSpan(core.start + form.rindex("("), core.end)


def _find_keys(text: str) -> dict[int, int]:
    """Returns the start and end of the keys of lines of settings whose value is a text, with their equals sign."""
    return {match.start(1): match.end(1) for pattern in (_KEY, _DOTTED_KEY) for match in pattern.finditer(text)}


def _find_in_list(text: str, core: TextSpan) -> Iterator[TextSpan]:
    """Yields the spans of the protected words in a list without spaces."""
    start = core.start
    signs = [match.start() for match in _LIST_SIGN.finditer(text, core.start, core.end)]
    for end in [*signs, core.end]:
        part = _strip(text, start, end)
        if _is_protected(text[part.start : part.end]):
            yield part
        start = end + 1


def _is_protected(form: str) -> bool:
    return bool(form) and (_FORM.fullmatch(form) is not None or _is_file(form))


def _is_prose(text: str, core: TextSpan, form: str) -> bool:
    """Returns True if a word that has a protected form (`core` is its span) is rather a word of prose."""
    if form.endswith((")", ")s")) and _OPTIONAL_ENDING.fullmatch(form):
        return form.partition("(")[0] not in _FUNCTIONS
    if form[0] == "-":
        return _DASHED_PROSE.fullmatch(form) is not None and (form[1] == "-" or _begins_sentence(text, core.start))
    if "_" in form:
        is_label = len(text) <= _LONGEST_LABEL and text.count("_") == 1 and _LABEL.fullmatch(form) is not None
        return is_label or _EMPHASIZED.fullmatch(form) is not None
    return form[0].isdigit() and _COUNTED.fullmatch(form) is not None


def _begins_sentence(text: str, position: int) -> bool:
    """Returns True if only white space and the end of a sentence or line precede an offset."""
    while position > 0 and text[position - 1] in " \t":
        position -= 1
    return position == 0 or text[position - 1] in _SENTENCE_END or text[position - 1].isspace()


def _strip(text: str, start: int, end: int) -> TextSpan:
    """Returns the span of a word without the quotes, brackets and punctuation around it."""
    while start < end and text[start] in _OPENING:
        start += 1
    return strip_tail(text, start, end)


def _is_file(word: str) -> bool:
    """Returns True if a word is a file name with a known extension."""
    stem, _, extension = word.rpartition(".")
    if not stem or extension.lower() not in _EXTENSIONS:
        return False
    return all(character.isalnum() or character in "_.+-/" for character in stem)


def strip_tail(text: str, start: int, end: int) -> TextSpan:
    """Returns the span of a word without punctuation at its end. A closing bracket that is opened in it stays."""
    unopened = {
        closing: text.count(closing, start, end) - text.count(opening, start, end)
        for closing, opening in _PARTNERS.items()
    }
    while end > start and (last := text[end - 1]) in _CLOSING:
        if last in unopened:
            if unopened[last] <= 0:
                break
            unopened[last] -= 1
        end -= 1
    return TextSpan(start, end)
