"""Apple's string catalogs (.xcstrings): JSON with all languages of a program.

Texts without a finished localization in the target language get one, in the state `translated`, or `needs_review` if it
is uncertain. The file is written as Xcode writes it, so a file of Xcode keeps the bytes of everything else.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from latimer.files.catalogs.html_strings import keep_characters, string_form
from latimer.files.catalogs.plural_categories import plural_categories
from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.xml_file import read_bytes
from latimer.files.splices import find_line_end

# Levels of objects and lists. Xcode makes at most ten.
_MAX_DEPTH = 100
# Kinds of variations of a text.
_KINDS = ("plural", "device")


@dataclass(frozen=True)
class _Leaf:
    """A text to translate. `number`: that of its string in the file. `unit`: what gets its translation."""

    text: str
    context: str
    number: int
    unit: dict[str, Any]


@dataclass(frozen=True)
class _StringCatalog:
    path: Path
    options: ReadOptions

    def units(self) -> Iterator[Unit]:
        for leaf in self._leaves(self._read()):
            syntaxes = ("printf",) if "%" in leaf.text else ()
            yield Unit(
                text=leaf.text,
                form=string_form(leaf.text),
                place=f"string {leaf.number}",
                context=leaf.context,
                syntaxes=syntaxes,
            )

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        catalog = self._read()
        for leaf in self._leaves(catalog):
            translated = next(translations)
            state = "needs_review" if translated.flags else "translated"
            text = leaf.text if translated.text is None else keep_characters(leaf.text, translated.text)
            leaf.unit["stringUnit"] = {"state": "new" if translated.text is None else state, "value": text}
        data = read_bytes(self.path)
        line_end = find_line_end(data.decode("utf-8", "replace"))
        written = _dump(catalog, "").replace("\n", line_end) + line_end * data.endswith(line_end.encode())
        target.write(codecs.BOM_UTF8 * data.startswith(codecs.BOM_UTF8) + written.encode("utf-8", "replace"))

    def _read(self) -> dict[str, Any]:
        try:
            catalog: dict[str, Any] = json.loads(read_bytes(self.path).decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            raise FileError(self.path, f"it is no JSON ({error.msg})", place=f"line {error.lineno}") from error
        except RecursionError as error:
            raise _too_deep(self.path) from error
        except UnicodeError as error:
            raise FileError(self.path, "it is no JSON in UTF-8", cure="save it with Xcode") from error
        strings = catalog.get("strings") if isinstance(catalog, dict) else None
        if not isinstance(strings, dict) or not all(isinstance(each, dict) for each in strings.values()):
            raise FileError(self.path, "it is no string catalog", cure="check its name, or name its format")
        if _is_deep(catalog):
            raise _too_deep(self.path)
        return catalog

    def _leaves(self, catalog: dict[str, Any]) -> Iterator[_Leaf]:
        """Yields the texts to translate, and adds their localizations to `catalog`."""
        source_language = str(catalog.get("sourceLanguage") or "en")
        for number, (key, entry) in enumerate(catalog["strings"].items(), start=1):
            if entry.get("shouldTranslate") is False or not any(map(str.isalpha, key)):
                continue
            localizations = self._mapping(entry.get("localizations"), number)
            if _is_finished(localizations.get(self.options.target_language)):
                continue
            source = self._mapping(localizations.get(source_language), number) or {"stringUnit": {"value": key}}
            localization: dict[str, Any] = {}
            leaves = list(self._copy(source, key, number, localization))
            if leaves:
                entry["localizations"] = dict(
                    sorted({**localizations, self.options.target_language: localization}.items())
                )
                catalog["strings"][key] = dict(sorted(entry.items()))
                yield from leaves

    def _copy(self, source: dict[str, Any], context: str, number: int, target: dict[str, Any]) -> Iterator[_Leaf]:
        """Yields the texts of a localization, and copies its variations to `target`."""
        unit = source.get("stringUnit")
        if isinstance(unit, dict) and isinstance(unit.get("value"), str):
            if any(map(str.isalpha, unit["value"])):
                yield _Leaf(unit["value"], context, number, target)
            else:
                target["stringUnit"] = {"state": "translated", "value": unit["value"]}
        variations = self._mapping(source.get("variations"), number)
        for kind in _KINDS:
            cases = variations.get(kind)
            if not isinstance(cases, dict):
                continue
            if kind == "plural" and "other" in cases:
                wanted = plural_categories(self.options.target_language)
                cases = {name: cases.get(name, cases["other"]) for name in sorted({*cases, *wanted})}
            copied = target.setdefault("variations", {}).setdefault(kind, {})
            for name, case in cases.items():
                inner = copied.setdefault(name, {})
                yield from self._copy(self._mapping(case, number), f"{context}[{name}]", number, inner)

    def _mapping(self, value: object, number: int) -> dict[str, Any]:
        """Returns an object of the catalog, {} if it is missing."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise FileError(self.path, "it has a value where an object should be", place=f"string {number}")
        return value


def _is_finished(localization: object) -> bool:
    """Returns True if a localization has a text that is not new."""
    if not isinstance(localization, dict):
        return False
    unit = localization.get("stringUnit")
    return bool(localization.get("variations")) or (isinstance(unit, dict) and unit.get("state") != "new")


def _is_deep(catalog: object) -> bool:
    """Returns True if values are nested deeper than the bound."""
    level = [catalog]
    for _ in range(_MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep(path: Path) -> FileError:
    return FileError(path, f"it is nested more than {_MAX_DEPTH} levels deep", cure="save it with Xcode")


def _dump(value: object, indent: str) -> str:
    """Returns JSON as Xcode writes it."""
    inner = indent + "  "
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(key, ensure_ascii=False)} : {_dump(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _dump(each, inner) for each in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _read(path: Path, options: ReadOptions) -> Document:
    return _StringCatalog(path, options)


FORMAT = FileFormat(name="xcstrings", suffixes=(".xcstrings",), read=_read, marks='state "needs_review"')
