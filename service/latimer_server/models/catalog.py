"""What models exist: the catalogue that ships with the server, and an operator's own beside it.

Knows nothing of files on disk or of what is loaded.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from latimer_server.errors import ModelError, NotServed
from latimer_server.languages import normalize_code

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SOURCE_KINDS = ("wheel", "dir")


class Task(StrEnum):
    """What a model does."""

    TRANSLATION = "translation"
    SUMMARIZATION = "summarization"


class FileEntry(BaseModel):
    """A file of a model: its path in the source, and its digest where the catalogue knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError("must stay inside its source")
        return path


class CatalogEntry(BaseModel):
    """A model as the catalogue describes it; docs/models.md says what each key means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: Task
    family: str
    backend: str
    source_languages: tuple[str, ...] = ()
    target_languages: tuple[str, ...] = ()
    embedded: bool = False
    source: str = ""
    wheel_tag: str = ""
    revision: str = ""
    license: str = ""
    attribution: str = ""
    canary: str = ""
    # Whether the server loads it at its start, if it is embedded.
    preload: bool = True
    # The model's own names of its languages (`>>por<<` without the marks) by their codes.
    language_tokens: Mapping[str, str] = {}
    # Its licence forbids commercial use: fetched only with --accept-license, taken only when named.
    noncommercial: bool = False
    allow_pickle: bool = False
    # May be one of two models through a pivot language.
    pivot: bool = True
    # What a generating model is told before the text.
    prompt: str = ""
    compute_type: str = ""
    max_input_tokens: int = Field(default=0, ge=0)
    # What a fetch brings, roughly.
    size_mb: int = Field(default=0, ge=0)
    files: Mapping[str, FileEntry] = {}

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"must match {_NAME.pattern}")
        return name

    @field_validator("source_languages", "target_languages")
    @classmethod
    def _are_codes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normalize_code(code) for code in codes)

    @field_validator("language_tokens")
    @classmethod
    def _name_languages(cls, tokens: Mapping[str, str]) -> Mapping[str, str]:
        return {normalize_code(code): token for code, token in tokens.items()}

    @field_validator("source")
    @classmethod
    def _is_source(cls, source: str) -> str:
        if source and source.partition(":")[0] not in _SOURCE_KINDS:
            raise ValueError(f"must begin with one of {', '.join(kind + ':' for kind in _SOURCE_KINDS)}")
        return source

    @field_validator("files")
    @classmethod
    def _have_own_names(cls, files: Mapping[str, FileEntry]) -> Mapping[str, FileEntry]:
        names = [Path(file.path).name for file in files.values()]
        if len(set(names)) < len(names):
            raise ValueError("two files have the same name")
        return files

    @property
    def sha256(self) -> str:
        """The digest of the weights; "" where there are none or the catalogue does not know it."""
        return (self.files["model"].sha256 or "") if "model" in self.files else ""


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

    def get(self, name: str) -> CatalogEntry:
        """The entry of this name. Raises `NotServed` naming those there are."""
        entry = self._entries.get(name)
        if entry is None:
            raise NotServed(f"there is no model {name[:100]!r}; there are {', '.join(self._entries)}")
        return entry


def load_catalog(own: Path | None = None) -> Catalog:
    """The catalogue that ships, with the operator's `own` on top. Raises `ModelError` naming the file."""
    entries = _read(resources.files("latimer_server").joinpath("catalog.toml").read_text("utf-8"), "catalog.toml")
    if own is not None:
        try:
            text = own.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{own}: cannot be read as UTF-8 text") from error
        entries |= _read(text, str(own))
    return Catalog(entries)


def _read(text: str, file: str) -> dict[str, CatalogEntry]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{file}: {error}") from error
    models = document.pop("models", {})
    if document or not isinstance(models, dict):
        raise ModelError(f"{file}: only tables [models.NAME] are known; found {', '.join(document) or 'models'}")
    entries = {}
    for name, keys in models.items():
        try:
            entries[name] = CatalogEntry.model_validate({**keys, "name": name})
        except (ValidationError, TypeError) as error:
            raise ModelError(f"{file}: models.{name}: {_explain(error)}") from error
    return entries


def _explain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "is no table"
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
