"""Writes and checks `made.json`, the record of a folder of converted files: their sizes and SHA-256 digests.

The record is written after all files. A folder without it is incomplete, such as a partial copy.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from latimer_server.core.errors import ModelFileError

RECORD = "made.json"
_MAX_RECORD_BYTES = 1 << 20


def write_manifest(folder: Path) -> None:
    """Syncs all files below `folder` to disk and writes their record into it. Raises OSError."""
    files, links = {}, []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():  # it leads to a file of the operator, which may change
            links.append(name)
        elif path.is_file():
            with path.open("rb") as file:
                files[name] = {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
                os.fsync(file.fileno())
    with (folder / RECORD).open("w", encoding="utf-8") as file:
        file.write(json.dumps({"files": files, "links": links}, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())


def verify_manifest(folder: Path) -> None:
    """Compares every file in `folder` that its record lists with the recorded size and digest. Links need only exist.

    Raises `ModelFileError` naming the first file that is missing or changed, or the record itself.
    """
    try:
        if (folder / RECORD).stat().st_size > _MAX_RECORD_BYTES:
            raise ValueError("too long")
        record = json.loads((folder / RECORD).read_text("utf-8"))
        files = {name: (int(file["size"]), str(file["sha256"])) for name, file in record["files"].items()}
        links = [str(name) for name in record["links"]]
    except OSError as error:
        raise ModelFileError(f"{folder.name}/{RECORD}", "is missing") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{folder.name}/{RECORD}", "is not a valid record") from error
    for name in (*files, *links):
        if not (folder / name).is_file():
            raise ModelFileError(f"{folder.name}/{name}", "is missing")
    for name, (size, digest) in files.items():
        if (folder / name).stat().st_size != size or _digest(folder, name) != digest:
            raise ModelFileError(f"{folder.name}/{name}", "has changed since it was made")


def is_complete(folder: Path) -> bool:
    """True if `folder` has a record and every file that it lists is present and unchanged. Reads all files."""
    try:
        verify_manifest(folder)
    except ModelFileError:
        return False
    return True


def _digest(folder: Path, name: str) -> str:
    try:
        with (folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelFileError(f"{folder.name}/{name}", f"cannot be read: {error.strerror}") from error
