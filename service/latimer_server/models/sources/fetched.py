"""Fetched files: the names, digests and revision that a source reports to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

# The file name of the store's record. No file of a model may have it.
RECORD = "latimer.json"


class RecordedFile(BaseModel):
    """A file of a model. `path`: its name in the model's folder. `size`: bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0)

    @field_validator("path")
    @classmethod
    def _check_name(cls, path: str) -> str:
        if Path(path).name != path or path == RECORD:
            raise ValueError(f"must be a file name without folders, and not {RECORD}")
        return path


@dataclass(frozen=True)
class Fetched:
    """The result of a fetch: the files in the staging folder, by the catalogue's keys, and their revision."""

    revision: str
    files: Mapping[str, RecordedFile]
