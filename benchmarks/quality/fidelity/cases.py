"""Reads the nasty inputs from `cases/*.toml`: one file per kind of damage.

Knows the shape of a case; nothing of servers, nor of what the invariants say.

A file has `kind` (its name in the table), perhaps `named_by` (flags that name the damage of all its cases) and cases.
A case has

- `name`: unique among all files;
- `direction`: "en-pt" or "pt-en"; `source` and `target` override its codes, `detect = true` leaves the source out;
- `content`: the text; or `parts`: pairs of a text and how often it stands there, one after another;
- `options`: the contract's TranslateOptions, enum values without their prefix (`text_format = "HTML"`);
- `glossary_size`: that many terms are made up and added to the options;
- `batch`: cases of one batch go in one request, in the order of the file;
- `named_by`: more flags that name this case's damage;
- any number of invariants by name (`invariants.INVARIANTS`), each with what it is to check.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "cases"
_DIRECTIONS = ("en-pt", "pt-en")
_FIELDS = {
    "name",
    "direction",
    "source",
    "target",
    "detect",
    "content",
    "parts",
    "options",
    "glossary_size",
    "batch",
    "named_by",
}


class BadCase(Exception):
    """A case that says something that cannot be checked."""


@dataclass(frozen=True)
class Case:
    """One nasty input: what is asked, and the invariants that its answer is to keep (name to argument)."""

    name: str
    kind: str
    source: str
    target: str
    content: str
    checks: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    detect: bool = False
    batch: str = ""
    named_by: frozenset[str] = frozenset()

    @property
    def text_format(self) -> str:
        """PLAIN, HTML, XML or MARKDOWN."""
        return str(self.options.get("text_format", "PLAIN"))


def read_cases(invariants: Collection[str], folder: Path = FOLDER) -> list[Case]:
    """The cases of all files, in the order of their names. Raises `BadCase` for one that makes no sense."""
    cases: list[Case] = []
    for path in sorted(folder.glob("*.toml")):
        document = tomllib.loads(path.read_text("utf-8"))
        named_by = frozenset(document.get("named_by", ()))
        cases += [_read_case(document["kind"], one, named_by, invariants) for one in document["case"]]
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise BadCase(f"{name}: {names.count(name)} cases have this name")
    return cases


def _read_case(kind: str, one: Mapping[str, Any], named_by: frozenset[str], invariants: Collection[str]) -> Case:
    name = one.get("name", "a case without a name")
    checks = {key: value for key, value in one.items() if key not in _FIELDS}
    unknown = [key for key in checks if key not in invariants]
    if unknown:
        raise BadCase(f"{name}: no invariant {', '.join(unknown)}")
    if one.get("direction") not in _DIRECTIONS:
        raise BadCase(f"{name}: its direction is none of {', '.join(_DIRECTIONS)}")
    if not checks:
        raise BadCase(f"{name}: nothing is checked")
    source, target = one["direction"].split("-")
    options = dict(one.get("options", {}))
    if one.get("glossary_size"):
        options["glossary_terms"] = [
            {"source_text": f"term number {index}", "target_text": f"termo {index}"}
            for index in range(one["glossary_size"])
        ]
    parts = one.get("parts") or [[one["content"], 1]]
    return Case(
        name=name,
        kind=kind,
        source=one.get("source", source),
        target=one.get("target", target),
        content="".join(text * count for text, count in parts),
        checks=checks,
        options=options,
        detect=one.get("detect", False),
        batch=one.get("batch", ""),
        named_by=named_by | frozenset(one.get("named_by", ())),
    )
