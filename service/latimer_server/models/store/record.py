"""What the store writes down of a model that it fetched: from where, which revision, the digest of every file.

The record is a JSON file in the model's folder, written last: a folder without one was never finished.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from latimer_server.core.errors import ModelFileError
from latimer_server.models.sources.fetched import RECORD, RecordedFile


class Record(BaseModel):
    """What was fetched. `revision`: the hub's commit, or what else names the files' version. Files have the
    catalogue's keys, or their own names where the catalogue names none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    revision: str = ""
    license: str = ""
    # The operator said --accept-license for this model.
    license_accepted: bool = False
    files: Mapping[str, RecordedFile]


def read_record(folder: Path, model: str) -> Record | None:
    """The record of the model in this folder; None without one. Raises `ModelFileError` for a broken one."""
    try:
        text = (folder / RECORD).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelFileError(f"{model}/{RECORD}", f"cannot be read: {error.strerror}") from error
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise ModelFileError(f"{model}/{RECORD}", "is no record of ours; fetch the model again") from error


def write_record(folder: Path, record: Record) -> None:
    """Writes the record and has it on disk before it returns. Raises OSError."""
    with (folder / RECORD).open("w", encoding="utf-8") as file:
        file.write(record.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
