"""Fetched files: the names, digests and revision that a source reports to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

# The name of the file in each model's folder that has the store's record. No file of a model may have this name.
RECORD = "latimer.json"


class RecordedFile(BaseModel):
    """A fetched file of a model in the store. `path`: its name in the model's folder. `size`: bytes."""

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
    """The result of fetching one model: its revision, and the files in its staging folder by their keys in the record.

    A key is the name of the file's role, such as `model` or `vocabulary`, else the file's name.
    """

    revision: str
    files: Mapping[str, RecordedFile]
