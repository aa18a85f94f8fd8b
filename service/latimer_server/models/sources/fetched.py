"""The files that a source has brought: their names, digests and revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

# The name of the store's own file in a model's folder, which no file of a model may have.
RECORD = "latimer.json"


class RecordedFile(BaseModel):
    """A file of the model: its name in the model's folder, its SHA-256, its size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0)

    @field_validator("path")
    @classmethod
    def _is_a_name(cls, path: str) -> str:
        if Path(path).name != path or path == RECORD:
            raise ValueError("must be a file's name")
        return path


@dataclass(frozen=True)
class Fetched:
    """The files that lie in the staging folder now, by the catalogue's keys, and the revision they are of."""

    revision: str
    files: Mapping[str, RecordedFile]
