"""What every source of model files shares: what it is given, what it hands back, and how a fault on the way is told.

Knows no source and no store.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.sources.digests import digest_like, sha256_of
from latimer_server.models.sources.fetched import RecordedFile

# Told the name of what is fetched, bytes done and bytes in all (0 where that is not known yet).
FetchProgress = Callable[[str, int, int], None]
# No model file of ours is larger; a mistake in a catalogue must not fill a disk.
MAX_FILE_BYTES = 64 << 30
_FULL = (errno.ENOSPC, errno.EDQUOT)


class FetchMeter:
    """Bytes of one model, over all its files."""

    def __init__(self, model: str, total: int, progress: FetchProgress) -> None:
        self._model = model
        self._progress = progress
        self.total = total
        self.done = 0

    def advance(self, count: int) -> None:
        """Counts bytes (or takes some back) and tells of them."""
        self.done += count
        self._progress(self._model, self.done, max(self.total, self.done))


def verify_download(path: Path, entry: CatalogEntry, source_path: str, published: str | None) -> RecordedFile:
    """Compares a fetched file with the digests that its source and the catalogue give for it, and describes it
    for the record.

    Raises `ModelFileError`; the file is then gone, so that the next fetch begins it anew.
    """
    name = Path(source_path).name
    pinned = next((file.sha256 for file in entry.files.values() if file.path == source_path), None)
    for expected, where in ((published, "its source publishes"), (pinned, "the catalogue says")):
        if expected and (found := digest_like(path, expected)) != expected:
            path.unlink()
            raise ModelFileError(f"{entry.name}/{name}", f"came with the digest {found}, {where} {expected}")
    return RecordedFile(path=name, sha256=sha256_of(path), size=path.stat().st_size)


@contextmanager
def raising_model_errors(what: str, place: Path) -> Iterator[None]:
    """Turns a fault of the file system into a `ModelError` that names `what`, and the file: the system's word for
    it where it gives one (a write to a full disk gives none), else `place`."""
    try:
        yield
    except OSError as error:
        named = error.filename or place
        if error.errno in _FULL:
            raise ModelError(
                f"{what}: the disk is full ({error.strerror}: {named}); free some space and fetch again: "
                "it goes on where it stopped"
            ) from error
        raise ModelError(f"{what}: {named}: {error.strerror or error}") from error


def file_key(entry: CatalogEntry, source_path: str) -> str:
    """The key of a file in the record: the catalogue's where it names the file, else its name."""
    return next((key for key, file in entry.files.items() if file.path == source_path), Path(source_path).name)
