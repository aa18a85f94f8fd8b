"""Catalogue: reads the list of available models that ships with the server, and the operator's own additions to it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from latimer_server.backends.registry import BACKENDS
from latimer_server.config.toml_lines import TomlError, find_line, parse_toml
from latimer_server.config.value_rules import describe_fault
from latimer_server.core.errors import ModelError, NotServed
from latimer_server.models.catalog.entry import CatalogEntry, FileEntry, Task

__all__ = ["Catalog", "CatalogEntry", "FileEntry", "Task", "load_catalog"]

_CANARIES = "canaries.toml"
# Keys that describe the source. They are dropped from a shipped entry if the operator gives it another source.
_SOURCE_KEYS = ("files", "wheel_tag", "revision", "size_mb", "pickle_only", "allow_pickle")
# An error for an unknown name suggests this many similar names.
_NEAREST = 5
# A longer name cannot be one of the catalogue's. It is cut off in the error and not compared, which would be slow.
_MAX_NAME = 100


class Catalog:
    """The entries of all available models, sorted by name."""

    def __init__(self, entries: Mapping[str, CatalogEntry]) -> None:
        self._entries = dict(sorted(entries.items()))

    @property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """All entries, sorted by name."""
        return tuple(self._entries.values())

    @property
    def embedded(self) -> tuple[str, ...]:
        """The names of the embedded models: `models fetch` without names fetches them."""
        return tuple(entry.name for entry in self.entries if entry.embedded)

    @property
    def preloaded(self) -> tuple[str, ...]:
        """The names of the models that the server loads at its start by default: the embedded ones with `preload`."""
        return tuple(entry.name for entry in self.entries if entry.embedded and entry.preload)

    def get(self, name: str) -> CatalogEntry:
        """Returns the entry of this name. Raises `NotServed` with similar names if there is none."""
        entry = self._entries.get(name)
        if entry is None:
            similar = get_close_matches(name, self._entries, _NEAREST, cutoff=0.0) if len(name) <= _MAX_NAME else []
            hint = f"similar names: {', '.join(similar)}; " if similar else ""
            total = len(self._entries)
            raise NotServed(f"there is no model {name[:_MAX_NAME]!r}; {hint}ListModels lists all {total}")
        return entry


def load_catalog(own: Path | None = None) -> Catalog:
    """Returns the shipped catalogue, merged with the operator's file `own` (TOML).

    An operator's table with the name of a shipped model overrides single keys of that model; any other table adds a
    model. Raises `ModelError` with the file, and the line where there is one, if a file is unreadable or invalid.
    """
    shipped: dict[str, dict[str, object]] = {}
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
    except OSError as error:
        raise ModelError(f"{own}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{own}: is no UTF-8 text") from error
    tables = _read_tables(text, str(own))
    merged = {name: _override(shipped.get(name, {}), keys) for name, keys in tables.items()}
    for name, entry in _make_entries(merged, text, str(own)).items():
        entries[name] = _with_canary(entry, canaries)
    return Catalog(entries)


def _override(shipped: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
    """Returns the keys of a shipped entry, overridden by the operator's keys.

    If the operator sets another source, the shipped keys that describe the old source are dropped.
    """
    kept = {key: value for key, value in shipped.items() if "source" not in own or key not in _SOURCE_KEYS}
    return {**kept, **own}


def _with_canary(entry: CatalogEntry, canaries: Mapping[str, Mapping[str, str]]) -> CatalogEntry:
    """Returns an entry with a canary: its own, else the default of its task and first source language.

    The canary stays "" if the entry says so, if there is no such default or if the entry lists no source languages.
    """
    if "canary" in entry.model_fields_set or not entry.source_languages:
        return entry
    return entry.model_copy(update={"canary": canaries.get(entry.task, {}).get(entry.source_languages[0], "")})


def _read_canaries() -> dict[str, dict[str, str]]:
    file = resources.files("latimer_server.models.catalog").joinpath("data").joinpath(_CANARIES)
    return tomllib.loads(file.read_text("utf-8"))


def _read_tables(text: str, file: str) -> dict[str, dict[str, object]]:
    """Returns the tables [models.NAME] of a file by name, each completed with the keys of the table [defaults]."""
    try:
        document = parse_toml(text)
    except TomlError as error:
        raise ModelError(f"{file}: {error}") from None
    for key in document:
        if key not in ("models", "defaults"):
            line = find_line(text, (key,))
            raise ModelError(
                f"{file}, line {line}: only tables [models.NAME] and [defaults] are allowed, not {key[:80]}"
            )
    models, defaults = document.get("models", {}), document.get("defaults", {})
    for key, value in (("models", models), ("defaults", defaults)):
        if not isinstance(value, dict):
            raise ModelError(f"{file}, line {find_line(text, (key,))}: {key} must be a table")
    for name, keys in models.items():
        if not isinstance(keys, dict):
            raise ModelError(f"{file}, line {find_line(text, ('models', name))}: models.{name} must be a table")
    return {name: {**defaults, **keys} for name, keys in models.items()}


def _make_entries(tables: Mapping[str, Mapping[str, object]], text: str, file: str) -> dict[str, CatalogEntry]:
    entries = {}
    for name, keys in tables.items():
        try:
            entries[name] = CatalogEntry.model_validate({**keys, "name": name}, context={"backends": BACKENDS})
        except ValidationError as error:
            raise ModelError(f"{file}, {_explain(error, name, text)}") from error
    return entries


def _explain(error: ValidationError, name: str, text: str) -> str:
    """Returns the faults of an entry as text: `line 3: models.a.licence: is not a known key (license?); line 5: ...`.

    A line is that of the key in the entry's table, else in [defaults], else that of the table.
    """
    faults = []
    for fault in error.errors():
        path = [str(step) for step in fault["loc"]]
        line = find_line(text, ["models", name, *path])
        line_in_defaults = find_line(text, ["defaults", *path])
        if line == find_line(text, ["models", name]) and line_in_defaults != find_line(text, ["defaults"]):
            line = line_in_defaults
        if fault["type"] == "extra_forbidden":
            near = get_close_matches(path[-1], CatalogEntry.model_fields, 1)
            problem = f"is not a known key{f' ({near[0]}?)' if near else ''}"
        else:
            problem = describe_fault(fault, CatalogEntry.model_fields.get(path[0]) if len(path) == 1 else None)
        faults.append(f"line {line}: {'.'.join(['models', name, *path])}: {problem}")
    return "; ".join(faults)
