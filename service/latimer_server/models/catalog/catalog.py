"""What models exist: the catalogue that ships with the server, and an operator's own beside it.

Knows nothing of model files on disk or of what is loaded.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from latimer_server.core.errors import ModelError, NotServed
from latimer_server.models.catalog.entry import CatalogEntry, FileEntry, Task
from latimer_server.models.catalog.toml_lines import find_line

__all__ = ["Catalog", "CatalogEntry", "FileEntry", "Task", "load_catalog"]

_CANARIES = "canaries.toml"
# Keys that describe what `source` names: an operator who names another source says them anew.
_OF_THE_SOURCE = ("files", "wheel_tag", "revision", "size_mb", "pickle_only", "allow_pickle")
_NEAREST = 5
_MAX_NAME = 100


class Catalog:
    """The entries by name, sorted."""

    def __init__(self, entries: Mapping[str, CatalogEntry]) -> None:
        self._entries = dict(sorted(entries.items()))

    @property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """All entries, sorted by name."""
        return tuple(self._entries.values())

    @property
    def embedded(self) -> tuple[str, ...]:
        """The names of the embedded default."""
        return tuple(entry.name for entry in self.entries if entry.embedded)

    @property
    def preloaded(self) -> tuple[str, ...]:
        """The names of those of the embedded default that a server loads at its start."""
        return tuple(entry.name for entry in self.entries if entry.embedded and entry.preload)

    def get(self, name: str) -> CatalogEntry:
        """The entry of this name. Raises `NotServed` naming those there are."""
        entry = self._entries.get(name)
        if entry is None:
            near = get_close_matches(name, self._entries, _NEAREST, cutoff=0.0) if len(name) <= _MAX_NAME else []
            others = f" and {more} more (see ListModels)" if (more := len(self._entries) - len(near)) else ""
            there = "near it are" if more else "there are"
            raise NotServed(f"there is no model {name[:_MAX_NAME]!r}; {there} {', '.join(near)}{others}")
        return entry


def load_catalog(own: Path | None = None) -> Catalog:
    """The catalogue that ships, with the operator's `own` on top. Raises `ModelError` naming file and line."""
    shipped: dict[str, dict[str, Any]] = {}
    entries: dict[str, CatalogEntry] = {}
    for file in sorted(
        resources.files("latimer_server.models.catalog").joinpath("data").iterdir(), key=lambda file: file.name
    ):
        if file.name.endswith(".toml") and file.name != _CANARIES:
            text = file.read_text("utf-8")
            tables = _read_tables(text, file.name)
            shipped |= tables
            entries |= _make_entries(tables, text, file.name)
    canaries = _read_canaries()
    entries = {name: _with_canary(entry, canaries) for name, entry in entries.items()}
    if own is None:
        return Catalog(entries)
    try:
        text = own.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{own}: cannot be read as UTF-8 text") from error
    tables = _read_tables(text, str(own))
    merged = {name: _override(shipped.get(name, {}), keys) for name, keys in tables.items()}
    for name, entry in _make_entries(merged, text, str(own)).items():
        entries[name] = _with_canary(entry, canaries) if name in shipped else entry
    return Catalog(entries)


def _override(shipped: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A shipped entry with the operator's keys; from another source what describes the old one goes."""
    kept = {key: value for key, value in shipped.items() if "source" not in own or key not in _OF_THE_SOURCE}
    return {**kept, **own}


def _with_canary(entry: CatalogEntry, canaries: Mapping[str, Mapping[str, str]]) -> CatalogEntry:
    """An entry of ours without a canary of its own gets the one of its (first) source language."""
    if entry.canary or not entry.source_languages:
        return entry
    return entry.model_copy(update={"canary": canaries.get(entry.task, {}).get(entry.source_languages[0], "")})


def _read_canaries() -> dict[str, dict[str, str]]:
    file = resources.files("latimer_server.models.catalog").joinpath("data").joinpath(_CANARIES)
    return tomllib.loads(file.read_text("utf-8"))


def _read_tables(text: str, file: str) -> dict[str, dict[str, Any]]:
    """The tables [models.NAME] of a catalogue, each with the keys of its [defaults]."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{file}: {error}") from error
    for key in document:
        if key not in ("models", "defaults"):
            line = find_line(text, (key,))
            raise ModelError(f"{file}, line {line}: only tables [models.NAME] and [defaults] are known, not {key}")
    models, defaults = document.get("models", {}), document.get("defaults", {})
    for key, value in (("models", models), ("defaults", defaults)):
        if not isinstance(value, dict):
            raise ModelError(f"{file}, line {find_line(text, (key,))}: {key} is no table")
    for name, keys in models.items():
        if not isinstance(keys, dict):
            raise ModelError(f"{file}, line {find_line(text, ('models', name))}: models.{name} is no table")
    return {name: {**defaults, **keys} for name, keys in models.items()}


def _make_entries(tables: Mapping[str, Mapping[str, Any]], text: str, file: str) -> dict[str, CatalogEntry]:
    entries = {}
    for name, keys in tables.items():
        try:
            entries[name] = CatalogEntry.model_validate({**keys, "name": name})
        except ValidationError as error:
            raise ModelError(f"{file}, {_explain(error, name, text)}") from error
    return entries


def _explain(error: ValidationError, name: str, text: str) -> str:
    """Every fault of an entry: `line 3: models.a.licence: is no key (license?); line 5: ...`."""
    told = []
    for fault in error.errors():
        path = [str(step) for step in fault["loc"]]
        line = find_line(text, ["models", name, *path])
        in_defaults = find_line(text, ["defaults", *path])
        if line == find_line(text, ["models", name]) and in_defaults != find_line(text, ["defaults"]):
            line = in_defaults
        problem = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            near = get_close_matches(path[-1], CatalogEntry.model_fields, 1)
            problem = f"is no key{f' ({near[0]}?)' if near else ''}"
        told.append(f"line {line}: {'.'.join(['models', name, *path])}: {problem}")
    return "; ".join(told)
