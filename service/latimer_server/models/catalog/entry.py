"""A model as a catalogue describes it, checked.

Knows nothing of catalogues' files, of model files on disk, or of what is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from latimer_server.core.languages import normalize_code
from latimer_server.models.catalog.source_name import check_source, source_kind

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


_RANKER_FAMILY = "extractive"


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
    # The operator takes weights that are a pickle.
    allow_pickle: bool = False
    # When this entry was written its repository had no other weights than a pickle.
    pickle_only: bool = False
    # Its attention was taught to be the word alignment; so are the students in Mozilla's registry, unless said.
    guided_alignment: bool = False
    # May be one of two models through a pivot language.
    pivot: bool = True
    # What a generating model is told before the text.
    prompt: str = ""
    compute_type: str = ""
    max_input_tokens: int = Field(default=0, ge=0)
    # What a fetch brings, roughly.
    size_mb: int = Field(default=0, ge=0)
    files: Mapping[str, FileEntry] = {}

    @model_validator(mode="before")
    @classmethod
    def _is_guided_from_mozilla(cls, keys: object) -> object:
        if isinstance(keys, dict) and str(keys.get("source", "")).startswith("mozilla:"):
            return {"guided_alignment": True, **keys}
        return keys

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
        check_source(source)
        return source

    @field_validator("files")
    @classmethod
    def _have_own_names(cls, files: Mapping[str, FileEntry]) -> Mapping[str, FileEntry]:
        names = [Path(file.path).name for file in files.values()]
        if len(set(names)) < len(names):
            raise ValueError("two files have the same name")
        return files

    @model_validator(mode="after")
    def _says_where_files_come_from(self) -> Self:
        if source_kind(self.source) == "wheel" and not (self.wheel_tag and self.files):
            raise ValueError("a wheel: source needs wheel_tag and files")
        return self

    @property
    def ranks(self) -> bool:
        """Whether it ranks sentences for summaries, and writes none."""
        return self.task is Task.SUMMARIZATION and self.family == _RANKER_FAMILY

    @property
    def writes_summaries(self) -> bool:
        """Whether it writes summaries."""
        return self.task is Task.SUMMARIZATION and self.family != _RANKER_FAMILY

    @property
    def sha256(self) -> str:
        """The digest of the weights; "" where there are none or the catalogue does not know it."""
        return (self.files["model"].sha256 or "") if "model" in self.files else ""
