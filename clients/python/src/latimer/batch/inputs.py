"""The inputs of a batch: files, folders, patterns and pipes, and the output of each."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from latimer.batch.output import is_stream
from latimer.batch.results import BatchError, OutputError
from latimer.files import FileError, find_format

STANDARD = "-"  # standard input, or standard output
_JOURNAL = "journal"
_FAILED = "failed.jsonl"
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of a batch.

    `path`: a regular file. `name`: its name in messages. `relative`: its path below the output folder. `format`: the
    name of its format.
    """

    path: Path
    name: str
    relative: Path
    format: str


@dataclass(frozen=True)
class FoundFiles:
    """`files`: the inputs. `skipped`: entries of folders that are no files, or whose
    format is not known or cannot be written."""

    files: list[InputFile]
    skipped: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """`paths`: the output of each input; None is standard output. `journal` and `failed`: the side files; None for
    standard output, which cannot be resumed."""

    paths: list[Path | None]
    journal: Path | None
    failed: Path | None


class Spool:
    """A folder for copies of pipes, which documents read more than once. A context manager that removes it.

    The folder is made for the first copy, and only its owner may read it.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._copies = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def copy(self, source: BinaryIO, name: str) -> Path:
        """Copies a pipe to a file. Raises `BatchError` if the disk is full."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="latimer-"))
        self._copies += 1
        folder = self._folder / str(self._copies)  # two pipes may have the same name
        path = folder / name
        try:
            folder.mkdir()
            with path.open("wb") as target:
                shutil.copyfileobj(source, target, _BLOCK)
        except OSError as error:
            raise BatchError(
                f"cannot keep the input in {folder}: {error.strerror}; set TMPDIR to a folder with more space"
            ) from error
        return path


def find_inputs(
    names: Sequence[str], format_name: str | None, out: str, spool: Spool, *, writes: bool = True
) -> FoundFiles:
    """Returns the files that the names of the command line mean, in order.

    A folder means the files below it whose format is known. `writes`: the batch writes the documents again, so that
    formats which can only be read, such as PDF, are left out. Raises `BatchError`, also for such a file that is named
    itself.
    """
    found = FoundFiles([])
    if not all(names):
        raise BatchError("the name of an input is empty")
    for name in names:
        if name == STANDARD:
            path = spool.copy(sys.stdin.buffer, "input.txt")
            found.files.append(_describe(path, "standard input", Path("standard-input.txt"), format_name or "text"))
            continue
        for path in _expand(name):
            if path.is_dir():
                _add_folder(found, path, format_name, out, writes=writes)
                continue
            file = _add_file(path, format_name, spool)
            if writes and not find_format(file.path, file.format).translates:
                raise BatchError(f"{path}: {file.format} files can be summarized, not translated")
            found.files.append(file)
    if not found.files:
        raise BatchError(f"no file to read in {', '.join(names)}; name files, or the format of all files with --format")
    return found


def plan_outputs(files: Sequence[InputFile], names: Sequence[str], out: str, suffix: str = "") -> Outputs:
    """Returns where the outputs go. `suffix`: an ending in place of that of the input, such as `.summary.txt`.

    `out` is a folder if it is one, ends in a separator, or if there are several inputs. Raises `OutputError` if an
    output would be an input, or the output of two inputs.
    """
    if not out:
        raise OutputError("--out", "the name of the output is empty", "name a file or folder, or -", is_refusal=True)
    if out == STANDARD:
        return Outputs([None] * len(files), None, None)
    folder = Path(out)
    if is_stream(folder):
        return Outputs([folder] * len(files), None, None)
    is_folder = folder.is_dir() or out.endswith(("/", os.sep)) or len(files) > 1 or any(Path(n).is_dir() for n in names)
    if not is_folder:
        paths = [folder]
        side = [folder.with_name(f"{folder.name}.{ending}") for ending in (_JOURNAL, _FAILED)]
    else:
        if folder.exists() and not folder.is_dir():
            raise OutputError(
                out, "is a file, and there are several inputs", "name a folder with --out", is_refusal=True
            )
        paths = [folder / _rename(file.relative, suffix) for file in files]
        side = [folder / f"latimer.{ending}" for ending in (_JOURNAL, _FAILED)]
    inputs = {file.path.resolve(): file for file in files}
    owners: dict[Path, InputFile] = {}
    for file, path in zip(files, paths, strict=True):
        resolved = path.resolve()
        if resolved in inputs:
            raise OutputError(path, "is an input as well", "choose another --out", is_refusal=True)
        if resolved in owners:
            raise OutputError(
                path,
                f"would be the output of {owners[resolved].name} and of {file.name}",
                "run them one by one",
                is_refusal=True,
            )
        owners[resolved] = file
    return Outputs(list(paths), *side)


def digest_file(path: Path) -> tuple[str, int]:
    """Returns the SHA-256 of a file and its size in bytes. Raises `FileError`."""
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
    return digest.hexdigest(), size


def is_failed_file(path: Path) -> bool:
    """Returns True for a side file with the failed units of a batch, by its first line."""
    try:
        with path.open("rb") as file:
            record = json.loads(file.readline(_BLOCK))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and list(record) == ["file", "place", "source", "reason"]


def _expand(name: str) -> list[Path]:
    """Returns the paths of a name: itself, or the matches of a pattern that the shell has left alone."""
    path = Path(name)
    if path.exists() or not glob.has_magic(name):
        return [path]
    matches = sorted(Path(match) for match in glob.glob(name, recursive=True))  # noqa: PTH207 (patterns may be absolute)
    if not matches:
        raise BatchError(f"no file matches {name}")
    return matches


def _add_file(path: Path, format_name: str | None, spool: Spool) -> InputFile:
    try:
        mode = path.stat().st_mode
        readable = path
        if not stat.S_ISREG(mode):  # a named pipe, or the shell's <(...)
            with path.open("rb") as pipe:
                readable = spool.copy(pipe, path.name)
            format_name = format_name or ("text" if not path.suffix else None)
        elif not os.access(path, os.R_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise BatchError(f"{path} cannot be read: {error.strerror}") from error
    return _describe(readable, str(path), Path(path.name), format_name)


def _describe(path: Path, name: str, relative: Path, format_name: str | None) -> InputFile:
    return InputFile(path=path, name=name, relative=relative, format=find_format(path, format_name).name)


def _add_folder(found: FoundFiles, folder: Path, format_name: str | None, out: str, *, writes: bool) -> None:
    """Adds the files below a folder. Hidden ones, and those below the output folder, are left out."""
    output = None if out == STANDARD else Path(out).resolve()
    for path in _walk(folder):
        if output is not None and output != folder.resolve() and path.resolve().is_relative_to(output):
            continue
        if path.name == f"latimer.{_FAILED}" and is_failed_file(path):  # of an earlier batch
            continue
        if not path.is_file():  # a pipe, or a link that leads nowhere or to a folder
            found.skipped.append(path)
            continue
        try:
            file = _describe(path, str(path), path.relative_to(folder), format_name)
        except FileError:
            found.skipped.append(path)
            continue
        if writes and not find_format(file.path, file.format).translates:
            found.skipped.append(path)
        else:
            found.files.append(file)


def _walk(folder: Path) -> Iterator[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise BatchError(f"{folder} cannot be read: {error.strerror}") from error
    for child in children:
        if child.name.startswith("."):
            continue
        if child.is_dir() and not child.is_symlink():
            yield from _walk(child)
        else:
            yield child


def _rename(relative: Path, suffix: str) -> Path:
    return relative.with_name(relative.name + suffix) if suffix else relative
