"""PO and POT files of gettext: a unit is a msgid without a finished msgstr, and a plural is two.

Finished, fuzzy and obsolete entries stay as they are. The header of a template gets the language, the encoding and the
plural forms of the target. A msgstr with an uncertain translation is marked `fuzzy`, and a comment `# latimer: NAME`
names the flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latimer.files.catalogs.access_keys import Label, is_gtk_label, read_label
from latimer.files.document import FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.encoding import find_encoding, is_same_encoding
from latimer.files.plural_forms import PluralForms, find_forms, parse_forms
from latimer.files.po_reader import PoEntry, PoString, read_entries
from latimer.files.splices import Edit, Passage, Source, SplicedDocument, constant, whole_file

# Columns of a line of msgstr with its quotation marks, as msgmerge wraps them.
_WIDTH = 79
# Messages in whose place translators write their names (GNOME, KDE).
_CREDITS = frozenset({"translator-credits", "translator_credits", "NAME OF TRANSLATORS", "EMAIL OF TRANSLATORS"})
_CHARSET = re.compile(rb"charset=([\w.:-]+)")
_SYNTAXES = {
    "c": "printf",
    "objc": "printf",
    "python": "printf",
    "php": "printf",
    "perl": "printf",
    "lua": "printf",
    "awk": "printf",
    "gcc-internal": "printf",
    "python-brace": "icu",
    "perl-brace": "icu",
    "csharp": "icu",
    "java": "icu",
    "java-printf": "printf",
    "javascript": "printf",
    "sh": "shell",
}


@dataclass(frozen=True)
class _Catalog:
    """The facts of a file that its entries need."""

    options: ReadOptions
    forms: PluralForms | None
    line_end: str
    is_gtk: bool

    def passage(self, entry: PoEntry, source: Source) -> Passage | None:
        if entry.source is None or not entry.source.value or "fuzzy" in entry.flags:
            return None
        if all(target.value for target in entry.targets.values()) or entry.source.value in _CREDITS:
            return None
        if entry.plural and self.forms is None:
            raise source.fault(
                entry.plural.start,
                f"the plural forms of {self.options.target_language} are not known",
                "write them into the header Plural-Forms",
            )
        strings = [entry.source, entry.plural] if entry.plural else [entry.source]
        syntaxes = _find_syntaxes(entry.flags)
        context = entry.context.value if entry.context else ""
        labels = [read_label(each.value, is_gtk=self.is_gtk) for each in strings]
        units = tuple(
            Unit(text=label.text, place=source.place(each.start), context=context, syntaxes=syntaxes)
            for label, each in zip(labels, strings, strict=True)
        )
        return Passage(units, partial(self._edit, entry, source, labels))

    def _edit(
        self, entry: PoEntry, source: Source, labels: Sequence[Label], translations: Sequence[Translated]
    ) -> list[Edit]:
        translated = [each.text for each in translations if each.text is not None]
        if len(translated) < len(translations) or entry.source is None:
            return []  # an empty msgstr is gettext's own mark of an entry that is not translated
        texts = [label.write(text) for label, text in zip(labels, translated, strict=True)]
        lost = [flag for label, text in zip(labels, texts, strict=True) for flag in label.find_flags(text)]
        flags = list(dict.fromkeys([*(flag for each in translations for flag in each.flags), *lost]))
        if entry.plural and self.forms and self.forms.is_rich:
            flags.append("PLURAL_FORMS")
        return [*(self._marks(entry, source, flags) if flags else ()), *self._strings(entry, entry.source, texts)]

    def _marks(self, entry: PoEntry, source: Source, flags: list[str]) -> list[Edit]:
        comment = Edit(entry.start, entry.start, f"# latimer: {', '.join(flags)}{self.line_end}")
        if entry.flags_end < 0:
            return [comment, Edit(entry.body, entry.body, f"#, fuzzy{self.line_end}")]
        start = source.text.rindex("#,", 0, entry.flags_end) + 2
        return [comment, Edit(start, start, " fuzzy,")]

    def _strings(self, entry: PoEntry, msgid: PoString, texts: list[str]) -> list[Edit]:
        if not entry.plural or self.forms is None:
            target = entry.targets[0]
            return [Edit(target.first, target.end, self._write(texts[0], msgid))]
        singular = self.forms.singular
        written = []
        for form in range(self.forms.count):
            kept = entry.targets.get(form)
            like, text = (msgid, texts[0]) if form == singular else (entry.plural, texts[1])
            written.append(f"msgstr[{form}] " + self._write(kept.value if kept and kept.value else text, like))
        start = min(target.start for target in entry.targets.values())
        end = max(target.end for target in entry.targets.values())
        return [Edit(start, end, self.line_end.join(written))]

    def _write(self, text: str, like: PoString) -> str:
        """Returns the literals of a text; on several lines if the msgid is. msgfmt wants the line breaks at its ends
        to be those of the msgid."""
        source = like.value
        inner = source.strip("\n")
        if inner:
            start = source.index(inner)
            text = source[:start] + text.strip("\n") + source[start + len(inner) :]
        if like.lines == 1:
            return f'"{_escape(text)}"'
        lines = [part for line in re.findall(r"[^\n]*\n|[^\n]+", text) for part in _wrap(_escape(line))]
        return self.line_end.join(f'"{line}"' for line in ("", *lines))


def _passages(options: ReadOptions, source: Source) -> Iterator[Passage]:
    entries = list(read_entries(source))
    header = next((entry for entry in entries if entry.is_header), None)
    described = header.targets[0].value if header else ""
    is_other = _check_language(options, source, entries, described)
    forms = (None if is_other else parse_forms(described)) or find_forms(options.target_language)
    line_end = source.line_end
    is_gtk = any(is_gtk_label(entry.source.value) for entry in entries if entry.source)
    catalog = _Catalog(options, forms, line_end, is_gtk)
    has_plurals = any(entry.plural for entry in entries)
    for entry in entries:
        if entry is header:
            yield from _describe(entry.targets[0], source, catalog, has_plurals=has_plurals)
            continue
        passage = catalog.passage(entry, source)
        if passage:
            yield passage


def _describe(header: PoString, source: Source, catalog: _Catalog, *, has_plurals: bool) -> Iterator[Passage]:
    """Yields the edits of the header of a template, or of a catalog that was begun for another language."""
    text = source.text[header.first : header.end]
    language = catalog.options.target_language.replace("-", "_")
    found = [
        *(
            (match.span(), rf"Language: {language}\n")
            for match in re.finditer(r"(?<=\")Language: *([^\"\\]*)\\n", text)
            if not _is_language(match[1], catalog.options)
        ),
        *((match.span(), "charset=UTF-8") for match in re.finditer(r"charset=(?:CHARSET|(?:US-)?ASCII)\b", text)),
        *_correct_charset(text, catalog.options.encoding),
    ]
    forms = catalog.forms
    if forms and parse_forms(header.value) != forms:
        written = rf"Plural-Forms: {forms.header}\n"
        place = re.search(r"Plural-Forms:[^\"\\]*\\n", text)
        if place:
            found.append((place.span(), written))
        elif has_plurals and "Plural-Forms" not in text:
            found.append(((len(text), len(text)), f'{catalog.line_end}"{written}"'))
    for (start, end), new in sorted(found):
        yield constant(header.first + start, header.first + end, new)


def _correct_charset(text: str, encoding: str | None) -> Iterator[tuple[tuple[int, int], str]]:
    """Yields the edit of a header that does not declare `encoding`, the one that the user named for the file."""
    match = re.search(r"charset=(?!CHARSET\b|(?:US-)?ASCII\b)([\w.:-]+)", text)
    if match and encoding and not is_same_encoding(match[1], encoding):
        yield match.span(), f"charset={encoding.upper()}"


def _is_language(declared: str, options: ReadOptions) -> bool:
    """Returns True if a language of a header is that of the target, of any country."""
    names = (re.split("[-_@.]", each.strip().lower())[0] for each in (declared, options.target_language))
    return len(set(names)) == 1


def _check_language(options: ReadOptions, source: Source, entries: list[PoEntry], described: str) -> bool:
    """Returns True if the header names another language than the target.

    Raises `FileError` if the file has translations into it, which would be mixed with new ones.
    """
    match = re.search(r"^Language: *([^\s].*)$", described, re.MULTILINE)
    if match is None or not options.target_language or _is_language(match[1], options):
        return False
    for entry in entries:
        if not entry.is_header and "fuzzy" not in entry.flags and any(each.value for each in entry.targets.values()):
            raise source.fault(
                entry.start,
                f"this file has translations into {match[1]}, not into {options.target_language}",
                "translate its template (.pot), or name the file's own language",
            )
    return True


def _find_syntaxes(flags: list[str]) -> tuple[str, ...]:
    found = (_SYNTAXES.get(flag.removesuffix("-format")) for flag in flags if flag.endswith("-format"))
    return tuple(dict.fromkeys(syntax for syntax in found if syntax))


def _escape(text: str) -> str:
    written = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return re.sub(r"[\x00-\x1f\x7f]", _escape_control, written)


def _escape_control(match: re.Match[str]) -> str:
    names = {"\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}
    return names.get(match[0], f"\\{ord(match[0]):03o}")


def _wrap(line: str) -> Iterator[str]:
    """Yields the parts of an escaped line, each of which ends after its spaces, as msgmerge writes them."""
    part = ""
    for word in re.findall(r"\S*\s*", line):
        if part and len(part) + len(word.rstrip()) > _WIDTH - 2:
            yield part
            part = ""
        part += word
    if part:
        yield part


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language, declared=_declared(path))
    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, partial(_passages, options)))


def _declared(path: Path) -> str | None:
    """Returns the encoding that the header declares; None if it declares none."""
    try:
        with path.open("rb") as file:
            match = _CHARSET.search(file.read(8192))
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error
    declared = match[1].decode() if match else "CHARSET"
    return None if declared in ("CHARSET", "ASCII", "US-ASCII") else declared


FORMAT = FileFormat(
    name="po", suffixes=(".po", ".pot"), read=_read, marks="`fuzzy` and a comment `# latimer: NAME` with the flags"
)
