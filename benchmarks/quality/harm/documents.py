"""Reads documents in English and Portuguese and pairs their paragraphs by their place in the document.

The documents are translated paragraph by paragraph: GNOME's help pages (Mallard, CC-BY-SA-3.0) and manual pages (roff;
the translations are those of the package manpages-pt-br). A page whose two versions have different numbers of
paragraphs is left out.
"""

from __future__ import annotations

import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpus import fetch_package
from benchmarks.quality.harm.parallel import Pair, divide_pair

_HELP = Path("usr/share/help")
_MALLARD = "{http://projectmallard.org/1.0/}"
_PAGES = Path("usr/share/man")
# The packages of the English manual pages that manpages-pt-br translates.
_PAGE_PACKAGES = ("manpages", "coreutils", "findutils", "grep", "nano", "recutils")
# Macros that set their arguments in one font, or in two in turns.
_FONT_MACRO = re.compile(r"\.([BI]|SM|SB|[BIR]{2}) ")
_ARGUMENT = re.compile(r'"([^"]*)"|(\S+)')
# The section about the translators, which only translated pages have.
_CREDITS = ".SH TRADUÇÃO"
_FONT = re.compile(r"\\f(?:\[[A-Z]*\]|\(?[A-Z]{1,2}|[A-Z1-4])")
_ESCAPES = {r"\-": "-", r"\(aq": "'", r"\(cq": "'", r"\(oq": "'", r"\(lq": '"', r"\(rq": '"', r"\&": "", r"\e": "\\"}
_ESCAPES |= {r"\ ": " ", r"\,": "", r"\/": "", r"\~": " ", r"\(bu": "•", r"\(em": "—", r"\(en": "–", r"\\": "\\"}
_ESCAPE = re.compile("|".join(re.escape(name) for name in _ESCAPES))


def read_help() -> Iterator[Pair]:
    """Yields the sentences of the paragraphs of GNOME's help pages, and their titles."""
    root = fetch_package("gnome-user-docs") / _HELP
    for path in sorted((root / "C").rglob("*.page")):
        other = root / "pt_BR" / path.relative_to(root / "C")
        sides = [_read_mallard(page) for page in (path, other)] if other.is_file() else [[], []]
        if [kind for kind, _ in sides[0]] != [kind for kind, _ in sides[1]]:
            continue
        for (kind, english), (_, portuguese) in zip(*sides, strict=True):
            if kind == "title":
                yield Pair(english, portuguese, "titles", "gnome-user-docs")
            else:
                yield from divide_pair(english, portuguese, "manuals", "gnome-user-docs")


def read_manual_pages() -> Iterator[Pair]:
    """Yields the sentences of manual pages."""
    translated = fetch_package("manpages-pt-br") / _PAGES / "pt_BR"
    for package in _PAGE_PACKAGES:
        root = fetch_package(package) / _PAGES
        for path in sorted(root.glob("man*/*.gz")):
            other = translated / path.relative_to(root)
            sides = [_read_roff(page) for page in (path, other)] if other.is_file() else [[], []]
            if len(sides[0]) == len(sides[1]):
                for english, portuguese in zip(*sides, strict=True):
                    yield from divide_pair(english, portuguese, "man pages", package)


def _read_mallard(path: Path) -> list[tuple[str, str]]:
    """Returns the titles and paragraphs of a page, each as ("title" or "p", text)."""
    elements = ET.parse(path).getroot().iter()
    return [
        (
            element.tag.removeprefix(_MALLARD),
            "" if _lacks_text(element) else " ".join("".join(element.itertext()).split()),
        )
        for element in elements
        if element.tag in (f"{_MALLARD}title", f"{_MALLARD}p")
    ]


def _lacks_text(element: ET.Element) -> bool:
    """True if the text of a link is generated from its target when the page is shown."""
    return any(not "".join(link.itertext()).strip() for link in element.iter(f"{_MALLARD}link"))


def _read_roff(path: Path) -> list[str]:
    """Returns the texts between the macros of a manual page, without fonts and escapes."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if not line.startswith(('.\\"', "'\\\""))]
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith(_CREDITS):
            break
        font = _FONT_MACRO.match(line)
        if font:
            words = [quoted or plain for quoted, plain in _ARGUMENT.findall(line[font.end() :])]
            blocks[-1].append(("" if len(font[1]) == 2 else " ").join(words))
        elif line.startswith((".", "'")) or not line:
            blocks.append([])
        else:
            blocks[-1].append(line)
    texts = (" ".join(block) for block in blocks if block)
    return [_ESCAPE.sub(lambda match: _ESCAPES[match.group()], _FONT.sub("", text)) for text in texts]
