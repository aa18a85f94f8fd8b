"""Record of a fetched model: its source, its revision and the digest of each file.

The record is the JSON file `latimer.json` in the model's folder. A fetch writes it after the model's files, so
a folder without it is not a complete fetch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from latimer_server.core.errors import ModelFileError
from latimer_server.models.sources.fetched import RECORD, RecordedFile


class Record(BaseModel):
    """The content of a record: a description of one fetched model.

    `source`: the catalogue's key `source` at the time of the fetch. `revision`: the hub's commit or the source's own
    version, "" if the source has none. `files`: by the name of the file's role, such as `model` or `vocabulary`, or by
    file name where neither the catalogue nor the source names a role.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    revision: str = ""
    license: str = ""
    # The licence forbids commercial use, and the operator accepted it with --accept-license.
    license_accepted: bool = False
    files: Mapping[str, RecordedFile]


def read_record(folder: Path, model: str) -> Record | None:
    """Reads the record in a model's folder; None if there is no record.

    Raises `ModelFileError` if the record cannot be read or is malformed.
    """
    try:
        text = (folder / RECORD).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelFileError(f"{model}/{RECORD}", f"cannot be read: {error.strerror}") from error
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise ModelFileError(f"{model}/{RECORD}", "is malformed; fetch the model again") from error


def write_record(folder: Path, record: Record) -> None:
    """Writes the record to `folder` and flushes it to disk. Raises OSError."""
    with (folder / RECORD).open("w", encoding="utf-8") as file:
        file.write(record.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
