"""Finds the spans that are protected by default: addresses, identifiers, code, emoji.

Most are words between spaces, recognized by their form without the brackets and punctuation around them. Spans that may
contain spaces are found by a sign in them, such as a backquote. Every pattern takes linear time in the text. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.spans import SEPARATOR, widen_span

_WORD = re.compile(r"\S++")
# A word without a match of this is prose, so it is not compared with the forms below.
_SPECIAL = re.compile(
    r"[@#/\\_:=]|[.(]\w|(?<=[a-z])[A-Z]|(?<=[a-f])\d|(?<=\d)[a-f]|\d-\d|[vV]\d|(?<![\w-])--?[A-Za-z]|\(\)"
)
_OPENING = "\"'“”‘’«»([{<¿¡*,;:!?…"
_CLOSING = "\"'“”‘’«»)]}>.,;:!?…*"
_PARTNERS = {")": "(", "]": "[", "}": "{"}
_URL = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,31}://|\b(?:mailto|tel|sms|urn|doi|magnet|data|javascript):(?=[\w+/?])|\bwww\.(?=\w))"
    r"[^\s<>\"“”«»。，、；：？！（）【】`]++",
    re.IGNORECASE,
)
_TOP_LEVEL = (
    "com|org|net|edu|gov|int|io|dev|app|info|eu|br|pt|uk|de|fr|es|it|nl|pl|ch|at|be|se|no|us|ca|au|jp|cn|ru|co|ai|me"
)
_EXTENSIONS = frozenset(
    [
        "txt",
        "md",
        "rst",
        "pdf",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "odt",
        "ods",
        "csv",
        "tsv",
        "json",
        "yaml",
        "yml",
        "toml",
        "xml",
        "htm",
        "html",
        "css",
        "js",
        "jsx",
        "ts",
        "tsx",
        "py",
        "rb",
        "go",
        "rs",
        "java",
        "kt",
        "c",
        "h",
        "cpp",
        "cc",
        "hpp",
        "sh",
        "bat",
        "ps1",
        "sql",
        "ini",
        "cfg",
        "conf",
        "log",
        "lock",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "mp3",
        "mp4",
        "wav",
        "zip",
        "tar",
        "gz",
        "bz2",
        "xz",
        "7z",
        "deb",
        "rpm",
        "exe",
        "dll",
        "so",
        "iso",
        "bin",
        "proto",
        "ipynb",
    ]
)
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
            r"[a-z]++[A-Z]\w*+",  # camelCase
            r"(?=\S*\d)(?=\S*[A-Z])[A-Z0-9]++(?:[-/][A-Za-z0-9]++)++",  # part numbers
            r"\d++(?:[.,]\d++)?[eE][-+]?\d++",  # 4.2e17
        )
    )
)
_CODES = (
    "EUR|USD|GBP|BRL|JPY|CHF|CNY|INR|CAD|AUD|MXN|ARS|CLP|COP|PEN|UYU|SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|ZAR|KRW|RUB|UAH|"
    "ILS|SGD|HKD|NZD|BTC|ETH|USDT"
)
# Placeholders that are protected in every text, since prose hardly ever resembles them: a name or a number in braces
# (Python, ICU), anything in double braces (mustache, Jinja) or in braces after a sign (shell, Ruby), and the commonest
# of printf. Requests can name whole syntaxes.
_BRACED = re.compile(
    r"\{\{\{[^{}\n]{1,128}\}\}\}|\{\{[^{}\n]{1,128}\}\}|\{%[^{}\n]{1,128}%\}|\$\{[^{}\n]{1,128}\}|"
    r"(?:[#%]|(?<!\\))\{(?:[^\W\d][\w.-]{0,63}|\d{1,3})(?:![rsa])?(?::[^{}\s]{1,16})?\}"
)
# A letter may follow only a placeholder with a name or number, because `%s` may begin a word (`100 %sure`).
_PRINTF = re.compile(
    r"(?<![\d%])%(?:(?:\(\w{1,64}\)|\d{1,2}\$)[-+0]?\d{0,3}(?:\.\d{1,2})?[sdiufxX@]"
    r"|[-+0]?\d{0,3}(?:\.\d{1,2})?[sdiufxX@](?!\w))"
)
_PERCENT = re.compile("%%")
# Patterns of spans that may contain spaces or be part of a word, each after a sign that all its matches contain. A text
# without the sign need not be searched.
_SIGNED = (
    ("<", re.compile(r">>[\w-]{1,32}<<|</?[A-Za-z][^\s<>]*+(?:\s[^<>]*+)?>|<!--(?:[^-<>]|-(?!->))*+-->")),
    ("@", re.compile(r"(?<![\w.+-])[\w.+-]++@(?:\[[0-9a-fA-F.:]+\]|[\w-]++(?:\.[\w-]++)+)")),
    (":\\", re.compile(r"\b[A-Za-z]:\\(?:[\w .()+@~-]{1,64}\\)*+[\w.()+@~-]*+(?<!\.)")),
    ("`", re.compile(r"```[^`]*+```|`[^`\n]++`")),
    ("&", re.compile(r"&(?:[A-Za-z]\w{1,30}|#\d{1,7}|#x[0-9a-fA-F]{1,6});")),
    (":", re.compile(r"\b\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z| ?[+-]\d{2}:?\d{2})?(?![\w-])")),
    ("+", re.compile(r"\+(?<!\w\+)\d{1,3}(?:[ .-]?\(\d{1,5}\))?(?:[ .-]?\d{2,5}){2,5}(?!\w)")),
    ("(", re.compile(r"\((?<!\w\()\d{2,4}\) ?\d{3,5}[ -]\d{3,4}(?!\w)")),
)
_CURRENCY = re.compile(rf"\b(?:{_CODES})\b(?=[ \u00a0]?[\d-])|(?<=\d)(?:{_CODES})\b|(?<=\d[ \u00a0])(?:{_CODES})\b")
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|"  # flags, keycaps
    "(?:[\U0001f300-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u2300-\u23ff]|"
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139]\ufe0f)[\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*+"
    "(?:\u200d[\U0001f300-\U0001faff\u2600-\u27bf][\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?)*+"
)
_CODE = re.compile(r"[A-Z]{3}")
# A row of at least four equal signs, such as `-----`.
_ROW = re.compile(r"([-_=*~.!?·#+])\1{3,}+")
# Superscripts, fractions, circled digits and other symbols that tokenizers flatten to plain letters and digits.
_SHAPES = re.compile("[²³¹⁰-₟½¼¾⅐-⅞™℠®©①-⓿№℃℉µ]++")
_FACE_SIGN = re.compile("[:;=^<]")
_FACE = re.compile(
    r"(?<![\w:;]):[a-z0-9_+-]{2,32}:(?![\w:])|"
    r"(?<!\S)(?:[:;=][-^'o]?[)(\]\[DPpO/\\|*3]|<3|\^_\^)(?=\s|[.!?]|$)"
)
_BULLET = re.compile(r"^[ \t]*+([-–—*•·●○◦▪■▸►‣+>]|\[[ xX]\])(?=[ \t])", re.MULTILINE)
_HOUR = re.compile(r"(?<!\w)\d{1,2}h\d{2}(?!\w)")


def find_builtin(text: str) -> Iterator[TextSpan]:
    """Yields the spans of `text` that are protected by default; in no order, and possibly overlapping.

    A `SEPARATOR` in the text counts as white space. A word behind it is no option, path or hidden file, because it may
    be the rest of a word with markup inside, as in `<i>pre</i>-built` and `<i>and</i>/or`.
    """
    yield from find_placeholders(text)
    for sign, pattern in _SIGNED:
        if sign in text:
            for match in pattern.finditer(text):
                yield TextSpan(*match.span())
    if ":" in text or "www." in text.lower():
        for match in _URL.finditer(text):
            yield _without_tail(text, match.start(), match.end())
    yield from (TextSpan(*match.span()) for match in _EMOJI.finditer("" if text.isascii() else text))
    yield from _find_shapes("" if text.isascii() else text)
    yield from (TextSpan(*match.span()) for match in _CURRENCY.finditer(text if _CODE.search(text) else ""))
    yield from (TextSpan(*match.span()) for match in _ROW.finditer(text))
    yield from (TextSpan(*match.span()) for match in _FACE.finditer(text if _FACE_SIGN.search(text) else ""))
    yield from (TextSpan(*match.span(1)) for match in _BULLET.finditer(text))
    yield from (TextSpan(*match.span()) for match in _HOUR.finditer(text if "h" in text else ""))
    yield from _find_words(text)


def find_placeholders(text: str) -> Iterator[TextSpan]:
    """Yields the spans of the placeholders that are protected in every text, ascending for each of their two forms."""
    if "{" in text:
        for match in _BRACED.finditer(text):
            if not _is_argument(text, match.start()):
                yield TextSpan(*match.span())
    if "%" in text:
        found = [TextSpan(*match.span()) for match in _PRINTF.finditer(text)]
        yield from found
        # In a text with such placeholders two percent signs stand for one, and one would begin another placeholder.
        yield from (TextSpan(*match.span()) for match in _PERCENT.finditer(text if found else ""))


def _is_argument(text: str, start: int) -> bool:
    """Returns True if the braces at `start` are the argument of a LaTeX command: a word behind a backslash."""
    position = start
    while position > 0 and text[position - 1].isalpha():
        position -= 1
    return 0 < position < start and text[position - 1] == "\\"


def _find_shapes(text: str) -> Iterator[TextSpan]:
    """Yields the spans of the words with a superscript, fraction or similar symbol, such as `cm²`."""
    end = 0
    for match in _SHAPES.finditer(text):
        if match.start() >= end:
            span = widen_span(text, TextSpan(*match.span()))
            end = span.end
            yield span


def _find_words(text: str) -> Iterator[TextSpan]:
    """Yields the spans of words that have a form of `_FORM` or are file names, without the punctuation around them."""
    end = 0
    for match in _SPECIAL.finditer(text):
        if match.start() < end:
            continue
        start = match.start()
        while start > end and not text[start - 1].isspace():
            start -= 1
        word = _WORD.match(text, start)
        end = word.end() if word else match.end()
        core = _strip(text, start, end)
        form = text[core.start : core.end]
        if start > 0 and text[start - 1] == SEPARATOR and form[:1] in ("-", "/", "."):
            continue
        if form and (_FORM.fullmatch(form) or _is_file(form)):
            yield core


def _strip(text: str, start: int, end: int) -> TextSpan:
    """Returns the span of a word without the quotes, brackets and punctuation around it."""
    while start < end and text[start] in _OPENING:
        start += 1
    return _without_tail(text, start, end)


def _is_file(word: str) -> bool:
    """Returns True if a word is a file name with a known extension."""
    stem, _, extension = word.rpartition(".")
    if not stem or extension.lower() not in _EXTENSIONS:
        return False
    return all(character.isalnum() or character in "_.+-/" for character in stem)


def _without_tail(text: str, start: int, end: int) -> TextSpan:
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
