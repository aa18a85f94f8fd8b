"""Qt's .ts files: unfinished messages are translated.

A sure translation is finished. An uncertain one stays `type="unfinished"`, with its flags in a `translatorcomment`. So
does one with plural forms, since all forms get the translation of the one source text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from latimer.files.bilingual.targets import check_target_language, flag_names, indentation, language_edit
from latimer.files.catalogs.access_keys import read_label
from latimer.files.catalogs.html_strings import keep_characters, string_form
from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import XmlElement, XmlSource, escape_text

# The numbers of plural forms of languages (Qt Linguist's numerus.cpp); others have two.
_FORM_LANGUAGES = {
    1: "bi bo dz fa fj gn hu id ja jv ko ms my na om su th tr tt vi yo za zh",
    3: "be bs cs ga hr lt lv mk pl ro ru sk sr tl uk",
    4: "gd gv mt sl",
    5: "cy",
    6: "ar",
}
_FORMS = {code: number for number, codes in _FORM_LANGUAGES.items() for code in codes.split()}


def _find(source: XmlSource, options: ReadOptions, path: Path) -> Iterator[Slot | Edit]:
    root = source.root
    if root.local != "TS":
        raise FileError(path, "it is no file of Qt Linguist", cure="check its name, or name its format")
    messages = [each for each in root.descendants() if each.local == "message"]
    if any(each.text.strip() for message in messages for each in message.elements("translation")):
        check_target_language(path, root.get("language"), options.target_language, line=source.line(root.start))
    declared = language_edit(root, "language", options.target_language.replace("-", "_"))
    if declared is not None:
        yield declared
    for message in messages:
        text, translation = message.first("source"), message.first("translation")
        if text is None or translation is None or not any(map(str.isalpha, text.text)):
            continue
        if any(text.elements("byte")):  # a control character, for which XML has no form and a model no token
            continue
        kind = translation.get("type")
        if kind == "unfinished" or (kind is None and not translation.text.strip()):
            yield _slot(source, message, text, translation, options)


def _slot(
    source: XmlSource, message: XmlElement, text: XmlElement, translation: XmlElement, options: ReadOptions
) -> Slot:
    context = message.parent.first("name") if message.parent is not None else None
    names = (context.text if context is not None else "", message.get("id") or "")
    comment = message.first("comment")
    has_forms = message.get("numerus") == "yes"
    form = string_form(text.text)
    label = read_label(text.text, "" if form == "html" else "&_")

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is None:
            return
        written = keep_characters(text.text, label.write(translated.text))
        flags = flag_names(translated, *label.find_flags(written))
        kind = ' type="unfinished"' if flags or has_forms else ""
        content = _escape(written)
        if has_forms:
            count = _FORMS.get(options.target_language.partition("-")[0].partition("_")[0].lower(), 2)
            break_ = indentation(translation)
            numerus = f"{break_}    <numerusform>{content}</numerusform>"
            content = numerus * count + break_
        if flags and message.first("translatorcomment") is None:
            note = f"<translatorcomment>latimer: {flags}</translatorcomment>{indentation(translation)}"
            yield Edit(translation.start, translation.start, (note,))
        yield Edit(translation.start, translation.end, (f"<translation{kind}>{content}</translation>",))

    key = "/".join(each for each in (*names, comment.text if comment is not None else "") if each)
    place = f"line {source.line(text.start)}"
    return Slot(Unit(text=label.text, form=form, place=place, context=key), edit)


def _escape(text: str) -> str:
    """Returns a text as Qt Linguist writes it."""
    return escape_text(text).replace('"', "&quot;").replace("'", "&apos;")


def _is_this(head: bytes) -> bool:
    return b"<TS" in head or "<TS".encode("utf-16-le") in head


def _read(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, lambda source, options: _find(source, options, path))


FORMAT = FileFormat(
    name="qt", suffixes=(".ts",), read=_read, marks='type="unfinished" and a translatorcomment', is_this=_is_this
)
