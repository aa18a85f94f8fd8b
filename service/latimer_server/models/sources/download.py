"""Downloads: progress, verification and error messages that all sources share."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.sources.digests import digest_like, sha256_of
from latimer_server.models.sources.fetched import RecordedFile

# A function that shows the progress of a fetch. It is called with the name of a model or wheel, the bytes done and the
# bytes in total (0 while unknown).
FetchProgress = Callable[[str, int, int], None]
# A larger file is taken for a mistake in a catalogue, which must not fill the disk.
MAX_FILE_BYTES = 64 << 30
_FULL = (errno.ENOSPC, errno.EDQUOT)


class FetchMeter:
    """Counts the bytes of one model over all its files, and reports them to `progress`."""

    def __init__(self, model: str, total: int, progress: FetchProgress) -> None:
        self._model = model
        self._progress = progress
        self.total = total
        self.done = 0

    def advance(self, count: int) -> None:
        """Adds `count` bytes and reports the sum. `count` is negative if a download must start anew."""
        self.done += count
        self._progress(self._model, self.done, max(self.total, self.done))


def verify_download(path: Path, entry: CatalogEntry, source_path: str, published: str | None) -> RecordedFile:
    """Compares the file at `path` with its digests, and returns its name, SHA-256 and size for the store's record.

    `source_path`: its path in the source. `published`: the digest that the source gives, None if it gives none. The
    catalogue's digest, if it has one for `source_path`, is checked as well. Raises `ModelFileError` if a digest
    differs; the file is then deleted, so that the next fetch starts anew.
    """
    name = Path(source_path).name
    pinned = next((file.sha256 for file in entry.files.values() if file.path == source_path), None)
    for expected, where in ((published, "its source publishes"), (pinned, "the catalogue says")):
        if expected and (found := digest_like(path, expected)) != expected:
            path.unlink()
            raise ModelFileError(f"{entry.name}/{name}", f"came with the digest {found}, {where} {expected}")
    return RecordedFile(path=name, sha256=sha256_of(path), size=path.stat().st_size)


@contextmanager
def raising_model_errors(subject: str, place: Path) -> Iterator[None]:
    """Turns an `OSError` inside the context into a `ModelError` that names `subject` and the file.

    The file is that of the exception, or `place` if the exception has none, as for a write to a full disk.
    """
    try:
        yield
    except OSError as error:
        file = error.filename or place
        if error.errno in _FULL:
            raise ModelError(
                f"{subject}: the disk is full ({error.strerror}: {file}); free some space and fetch again, "
                "which resumes the download"
            ) from error
        raise ModelError(f"{subject}: {file}: {error.strerror or error}") from error


def file_key(entry: CatalogEntry, source_path: str) -> str:
    """Returns the key of a file in the store's record: its key in the catalogue, such as `model`, else its name."""
    return next((key for key, file in entry.files.items() if file.path == source_path), Path(source_path).name)
