"""Reads the cases of the fidelity suite from `cases/*.toml`: one file per kind of damage.

A file has `kind` (its name in the table), optionally `named_by` (flags that report the damage of all its cases), and
cases. A case has

- `name`: unique among all files;
- `direction`: "en-pt" or "pt-en"; `source` and `target` override its codes, `detect = true` omits the source;
- `origin`: the program, format or kind of text in whose form `content` is written;
- `content`: the text; or `parts`: pairs of a text and its number of repetitions, joined in order;
- `options`: the contract's TranslateOptions, enum values without their prefix (`text_format = "HTML"`);
- `glossary_size`: the number of generated glossary terms that are added to the options;
- `batch`: cases with the same batch are sent in one request, in the order of the file;
- `named_by`: more flags that report the damage of this case;
- any number of invariants by name (`invariants.INVARIANTS`), each with its argument.
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
    "origin",
    "content",
    "parts",
    "options",
    "glossary_size",
    "batch",
    "named_by",
}


class BadCase(Exception):
    """Raised for a case that cannot be checked."""


@dataclass(frozen=True)
class Case:
    """One input: the request, and the invariants of its answer (`checks`: name to argument)."""

    name: str
    kind: str
    source: str
    target: str
    content: str
    checks: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    detect: bool = False
    batch: str = ""
    origin: str = ""
    named_by: frozenset[str] = frozenset()

    @property
    def text_format(self) -> str:
        """PLAIN, HTML, XML or MARKDOWN."""
        return str(self.options.get("text_format", "PLAIN"))


def read_cases(invariants: Collection[str], folder: Path = FOLDER) -> list[Case]:
    """Reads the cases of all files, in the order of the file names. Raises `BadCase` for an invalid case."""
    cases: list[Case] = []
    for path in sorted(folder.glob("*.toml")):
        document = tomllib.loads(path.read_text("utf-8"))
        named_by = frozenset(document.get("named_by", ()))
        cases += [_read_case(document["kind"], entry, named_by, invariants) for entry in document["case"]]
    names = [case.name for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise BadCase(f"{name}: {names.count(name)} cases have this name; names must be unique")
    return cases


def _read_case(kind: str, entry: Mapping[str, Any], named_by: frozenset[str], invariants: Collection[str]) -> Case:
    name = entry.get("name", "a case without a name")
    checks = {key: value for key, value in entry.items() if key not in _FIELDS}
    unknown = [key for key in checks if key not in invariants]
    if unknown:
        raise BadCase(f"{name}: unknown invariant {', '.join(unknown)}")
    if entry.get("direction") not in _DIRECTIONS:
        raise BadCase(f"{name}: its direction must be one of {', '.join(_DIRECTIONS)}")
    if not checks:
        raise BadCase(f"{name}: it needs at least one invariant")
    source, target = entry["direction"].split("-")
    options = dict(entry.get("options", {}))
    if entry.get("glossary_size"):
        options["glossary_terms"] = [
            {"source_text": f"term number {index}", "target_text": f"termo {index}"}
            for index in range(entry["glossary_size"])
        ]
    parts = entry.get("parts") or [[entry["content"], 1]]
    return Case(
        name=name,
        kind=kind,
        source=entry.get("source", source),
        target=entry.get("target", target),
        content="".join(text * count for text, count in parts),
        checks=checks,
        options=options,
        detect=entry.get("detect", False),
        batch=entry.get("batch", ""),
        origin=entry.get("origin", ""),
        named_by=named_by | frozenset(entry.get("named_by", ())),
    )
