"""Catalogue entry: the validated description of one model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from latimer_server.core.languages import normalize_code
from latimer_server.models.catalog.source_kinds import check_source, source_kind

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_RANKER_FAMILY = "extractive"
_STUDENT_BACKEND = "marian_student"


class Task(StrEnum):
    """The task of a model."""

    TRANSLATION = "translation"
    SUMMARIZATION = "summarization"


class FileEntry(BaseModel):
    """A file of a model. `path`: its path in the source (repository, wheel or folder). `sha256`: None if not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError("must be a relative path without '..'")
        return path


class CatalogEntry(BaseModel):
    """The description of one model. docs/models.md explains every key. Invalid values raise a ValidationError."""

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
    # True if the server loads the model at its start. Has an effect on embedded models only.
    preload: bool = True
    # Language tokens by BCP-47 code, without their marks (`por` for `>>por<<`). They override those that the server
    # finds in the model's vocabulary.
    language_tokens: Mapping[str, str] = {}
    # The licence forbids commercial use: a fetch needs --accept-license, and a request must name the model.
    noncommercial: bool = False
    # The operator accepts weights in pickle format, which can run any code when they are loaded. If False, fetching and
    # verifying such weights fails.
    allow_pickle: bool = False
    # The repository had only pickle weights when this entry was written. For information: `allow_pickle` decides.
    pickle_only: bool = False
    # The model's attention was trained to be the word alignment. The default is True for models of Mozilla's registry.
    guided_alignment: bool = False
    # The model may be part of a route of two models through a pivot language.
    pivot: bool = True
    # The instruction that precedes the text in the input of a generating model.
    prompt: str = ""
    compute_type: str = ""
    # The candidates of each output token of a student: those of its shortlist if it has one, or with "full" the whole
    # vocabulary.
    vocabulary: Literal["", "full"] = ""
    # The most tokens of one piece; 0 selects the backend's default.
    max_input_tokens: int = Field(default=0, ge=0)
    # The approximate size of a fetch in megabytes; 0 if unknown.
    size_mb: int = Field(default=0, ge=0)
    files: Mapping[str, FileEntry] = {}

    @property
    def has_shortlist(self) -> bool:
        """True if a shortlist may bound the tokens that the model writes: its files or the store tell."""
        return self.backend == _STUDENT_BACKEND and self.vocabulary != "full"

    @model_validator(mode="before")
    @classmethod
    def _set_guided_alignment(cls, keys: object) -> object:
        if isinstance(keys, dict) and str(keys.get("source", "")).startswith("mozilla:"):
            return {"guided_alignment": True, **keys}
        return keys

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"must match {_NAME.pattern}")
        return name

    @field_validator("backend")
    @classmethod
    def _check_backend(cls, backend: str, info: ValidationInfo) -> str:
        """Raises ValueError unless the backend's name is one of `backends` in the validation's context.

        `load_catalog` gives that context. An entry that is created without it, as in tests, may have any backend.
        """
        known = (info.context or {}).get("backends", (backend,))
        if backend not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return backend

    @field_validator("source_languages", "target_languages")
    @classmethod
    def _normalize_codes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normalize_code(code) for code in codes)

    @field_validator("language_tokens")
    @classmethod
    def _normalize_token_codes(cls, tokens: Mapping[str, str]) -> Mapping[str, str]:
        return {normalize_code(code): token for code, token in tokens.items()}

    @field_validator("source")
    @classmethod
    def _check_source(cls, source: str) -> str:
        check_source(source)
        return source

    @field_validator("files")
    @classmethod
    def _check_names_differ(cls, files: Mapping[str, FileEntry]) -> Mapping[str, FileEntry]:
        names = [Path(file.path).name for file in files.values()]
        if len(set(names)) < len(names):
            raise ValueError("two files have the same name")
        return files

    @model_validator(mode="after")
    def _check_wheel_keys(self) -> Self:
        if source_kind(self.source) == "wheel" and not (self.wheel_tag and self.files):
            raise ValueError("a wheel: source needs wheel_tag and files")
        return self

    @model_validator(mode="after")
    def _check_vocabulary(self) -> Self:
        if self.vocabulary and self.backend != _STUDENT_BACKEND:
            raise ValueError(f"vocabulary: only models of backend {_STUDENT_BACKEND} have a shortlist")
        return self

    @property
    def ranks(self) -> bool:
        """True if the model only ranks sentences for extractive summaries."""
        return self.task is Task.SUMMARIZATION and self.family == _RANKER_FAMILY

    @property
    def writes_summaries(self) -> bool:
        """True if the model writes summaries."""
        return self.task is Task.SUMMARIZATION and self.family != _RANKER_FAMILY

    @property
    def sha256(self) -> str:
        """The SHA-256 of the weights; "" if there are no weights or the catalogue does not know it."""
        return (self.files["model"].sha256 or "") if "model" in self.files else ""
