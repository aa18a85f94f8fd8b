"""Reads glossaries (CSV, TSV and TBX) and the phrases and patterns of `--protect`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latimer.batch.results import BatchError
from latimer.files import FileError

if TYPE_CHECKING:
    from lxml import etree

# The contract's limits.
MOST_TERMS = 1_000
_LONGEST_TERM = 256

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_HEADER = ("source", "target")
_TRUE = frozenset({"1", "true", "yes", "case", "case_sensitive"})


@dataclass(frozen=True, kw_only=True)
class Term:
    """A term and its translation. `is_case_sensitive`: matches only in the same upper and lower case."""

    source: str
    target: str
    is_case_sensitive: bool = False

    def to_option(self) -> dict[str, object]:
        """Returns the term as the contract's GlossaryTerm in JSON."""
        return {"source_text": self.source, "target_text": self.target, "case_sensitive": self.is_case_sensitive}


def read_glossary(path: Path, source: str | None, target: str) -> list[Term]:
    """Returns the terms of a glossary, by the suffix of its name: `.tbx`, else CSV or TSV.

    A CSV file has the term, its translation and, if wanted, `true` for terms that are case-sensitive; a first line
    `source,target` is a header. From a TBX file come the entries that have both languages; `source` must be given.
    Raises `FileError`, and `BatchError` for more terms than a request can have.
    """
    terms = list(_read_tbx(path, source, target) if path.suffix.lower() == ".tbx" else _read_csv(path))
    if not terms:
        raise FileError(path, "has no terms", cure="put a term and its translation on each line, with a comma between")
    if len(terms) > MOST_TERMS:
        raise BatchError(f"{path}: has {len(terms)} terms, and a request at most {MOST_TERMS}; divide it by subject")
    return terms


def read_protected(values: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the phrases and the patterns of `--protect`. Raises `FileError`.

    `/.../` is a pattern, `@FILE` has one value on each line, and all else is a phrase.
    """
    phrases, patterns = [], []
    for value in values:
        if _names_file(value):
            lines = [line.strip() for line in _read_text(Path(value[1:])).splitlines()]
            more_phrases, more_patterns = read_protected([line for line in lines if line and not line.startswith("@")])
            phrases += more_phrases
            patterns += more_patterns
        elif len(value) > 2 and value.startswith("/") and value.endswith("/"):
            patterns.append(value[1:-1])
        else:
            phrases.append(value)
    return phrases, patterns


def list_protected_files(values: Sequence[str]) -> list[Path]:
    """Returns the files that values of `--protect` name."""
    return [Path(value[1:]) for value in values if _names_file(value)]


def _names_file(value: str) -> bool:
    return value.startswith("@") and len(value) > 1


def _read_csv(path: Path) -> Iterator[Term]:
    text = _read_text(path)
    first = text.partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (rows.line_num == 1 and tuple(cell.lower() for cell in cells[:2]) == _HEADER):
                continue
            place = f"line {rows.line_num}"
            if len(cells) < 2 or not cells[0] or not cells[1]:
                raise FileError(path, "has no term and translation", place=place, cure="put a comma between them")
            if max(len(cells[0]), len(cells[1])) > _LONGEST_TERM:
                raise FileError(path, f"a term has more than {_LONGEST_TERM} characters", place=place)
            is_case_sensitive = len(cells) > 2 and cells[2].lower() in _TRUE
            yield Term(source=cells[0], target=cells[1], is_case_sensitive=is_case_sensitive)
    except csv.Error as error:
        raise FileError(path, f"is not valid CSV: {error}", place=f"line {rows.line_num}") from error


def _read_tbx(path: Path, source: str | None, target: str) -> Iterator[Term]:
    """Yields the terms of TBX (ISO 30042): `termEntry` and `langSet` of version 2, `conceptEntry` and `langSec` of
    version 3."""
    if source is None:
        raise BatchError(f"{path}: the language of the text must be known for a TBX glossary; name it with --from")
    from lxml import etree  # imported late, because few batches have such a glossary

    try:
        # No entity is resolved and nothing is fetched.
        for _, element in etree.iterparse(
            str(path), events=("end",), resolve_entities=False, no_network=True, load_dtd=False
        ):
            if not isinstance(element.tag, str) or etree.QName(element).localname not in {"termEntry", "conceptEntry"}:
                continue
            sources = _find_terms(element, source)
            targets = _find_terms(element, target)
            if targets:
                for term in sources:
                    yield Term(source=term, target=targets[0])
            element.clear()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    except etree.XMLSyntaxError as error:
        raise FileError(path, f"is not valid XML: {error.msg}") from error


def _find_terms(entry: etree._Element, language: str) -> list[str]:
    """Returns the terms of an entry in a language; those in other variants of it if there are none."""
    exact, near = [], []
    wanted = language.lower()
    for part in entry.iter("{*}langSet", "{*}langSec"):
        found = (part.get(_LANGUAGE) or "").lower().replace("_", "-")
        terms = ["".join(map(str, term.itertext())).strip() for term in part.iter("{*}term")]
        if found == wanted:
            exact += terms
        elif found.partition("-")[0] == wanted.partition("-")[0]:
            near += terms
    return [term for term in exact or near if term and len(term) <= _LONGEST_TERM]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not UTF-8: byte {error.start}", cure="save it as UTF-8") from error
