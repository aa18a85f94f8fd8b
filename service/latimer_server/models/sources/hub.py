"""The source `hub:owner/name@revision`: fetches model files from the Hugging Face hub with huggingface_hub.

Endpoint, token, proxy, cache and offline mode are configured as usual for that library (HF_ENDPOINT, HF_TOKEN, HF_HOME,
HF_HUB_OFFLINE). Import this module only to fetch models: the library takes half a second to import.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from latimer_server import __version__
from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.catalog.source_kinds import parse_hub_source
from latimer_server.models.sources.digests import is_digest, sync_file
from latimer_server.models.sources.download import (
    MAX_FILE_BYTES,
    FetchMeter,
    FetchProgress,
    file_key,
    raising_model_errors,
    verify_download,
)
from latimer_server.models.sources.fetched import Fetched, RecordedFile
from latimer_server.models.sources.fetching import FetchContext
from latimer_server.models.sources.file_layout import check_shards, select_files
from latimer_server.models.sources.hub_errors import raising_hub_errors

_LIBRARY = "latimer"


@dataclass(frozen=True)
class _HubFile:
    """A file in the hub's listing of a repository.

    `size`: bytes. `digest`: the SHA-256 of an LFS file, else a git blob id. Both are None if a mirror of the hub omits
    them.
    """

    path: str
    size: int | None = None
    digest: str | None = None


def fetch_repositories(
    staged: Sequence[tuple[CatalogEntry, Path]], context: FetchContext
) -> Iterator[tuple[CatalogEntry, Fetched]]:
    """Fetches models with `hub:` sources, one after the other. Implements `models.sources.fetching.Fetcher`."""
    for entry, staging in staged:
        yield entry, _fetch_repository(entry, staging, context.progress)


def _fetch_repository(entry: CatalogEntry, staging: Path, progress: FetchProgress) -> Fetched:
    """Fetches the files that the entry needs into `staging`, and resumes downloads that an earlier fetch left there.

    Raises `ModelError` or `ModelFileError` with a message of one line that names the model and the file.
    """
    repo, revision = parse_hub_source(entry.source)
    with raising_model_errors(entry.name, staging):
        if constants.is_offline_mode():
            return _take_cached(entry, repo, revision, staging, progress)
        with raising_hub_errors(entry, entry.source):
            commit, listed = _list_files(entry, repo, revision)
        paths = select_files([file.path for file in listed], entry)
        by_path = {file.path: file for file in listed}
        with raising_hub_errors(entry, entry.source):
            files = [_complete(by_path[path], repo, commit) for path in paths]
        _check_sizes(entry, files, staging)
        meter = FetchMeter(entry.name, sum(file.size or 0 for file in files), progress)
        recorded = {}
        for file in files:
            with (
                raising_model_errors(entry.name, staging / Path(file.path).name),
                raising_hub_errors(entry, f"{entry.source} ({commit[:12]})", file.path),
            ):
                recorded[file_key(entry, file.path)] = _fetch_file(entry, repo, commit, file, staging, meter)
    check_shards(staging, paths, entry)
    return Fetched(commit, recorded)


def _list_files(entry: CatalogEntry, repo: str, revision: str) -> tuple[str, list[_HubFile]]:
    api = HfApi(library_name=_LIBRARY, library_version=__version__)
    try:
        info = api.model_info(repo, revision=revision, files_metadata=True)
        files = [
            _HubFile(file.rfilename, file.size, file.lfs.sha256 if file.lfs else file.blob_id)
            for file in info.siblings or ()
        ]
    except (HfHubHTTPError, HFValidationError):  # ValueErrors too
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        cause = f"the server's answer is not that of a model hub ({type(error).__name__}); check HF_ENDPOINT"
        raise ModelError(f"{entry.name}: {entry.source}: {cause}") from error
    if not info.sha or not files:
        cause = "the server's answer is not that of a model hub (no commit or no files); check HF_ENDPOINT"
        raise ModelError(f"{entry.name}: {entry.source}: {cause}")
    return info.sha, files


def _complete(file: _HubFile, repo: str, commit: str) -> _HubFile:
    """Returns the file with its size and digest, which are requested from the hub if the listing lacks them.

    The digest is then the ETag, and stays None if that has not the form of a digest.
    """
    if file.size is not None and file.digest:
        return file
    metadata = get_hf_file_metadata(
        hf_hub_url(repo, file.path, revision=commit), library_name=_LIBRARY, library_version=__version__
    )
    digest = metadata.etag if is_digest(metadata.etag) else None
    return replace(file, size=file.size if file.size is not None else metadata.size, digest=file.digest or digest)


def _check_sizes(entry: CatalogEntry, files: Iterable[_HubFile], staging: Path) -> None:
    """Raises `ModelError` if a file is too large, or if the disk has too little space for the bytes not yet fetched."""
    sizes = [file.size or 0 for file in files]
    if max(sizes) > MAX_FILE_BYTES:
        raise ModelError(f"{entry.name}: {entry.source}: a file is larger than {MAX_FILE_BYTES} bytes")
    needed = sum(sizes) - sum(path.stat().st_size for path in staging.iterdir())
    if needed > (free := shutil.disk_usage(staging).free):
        raise ModelError(f"{entry.name}: needs {needed:,} more bytes, but the disk of {staging} has {free:,} free")


def _fetch_file(
    entry: CatalogEntry, repo: str, commit: str, file: _HubFile, staging: Path, meter: FetchMeter
) -> RecordedFile:
    """Puts one verified file into the staging folder, and returns its description for the record.

    Takes it from an interrupted fetch, else from the local cache of huggingface_hub, else downloads it. A resumed
    download with a wrong digest is repeated once from the start.
    """
    final = staging / Path(file.path).name
    if final.is_file() and (accepted := _accept_complete(final, entry, file)):
        meter.advance(accepted.size)
        return accepted
    # The name contains the digest, or else the commit, so a partial file is resumed only with the same content.
    part = staging / f"{final.name}.{(file.digest or commit)[:16]}.part"
    cached = try_to_load_from_cache(repo, file.path, revision=commit)
    if isinstance(cached, str):
        shutil.copyfile(cached, part)
        if accepted := _accept_complete(part, entry, file):
            meter.advance(accepted.size)
            part.rename(final)
            return accepted
    resumed = part.exists() and part.stat().st_size > 0
    _download(entry, repo, commit, file, part, meter)
    try:
        accepted = verify_download(part, entry, file.path, file.digest)
    except ModelFileError:
        if not resumed:
            raise
        meter.advance(-(file.size or 0))
        _download(entry, repo, commit, file, part, meter)  # the partial file was wrong: `verify_download` deleted it
        accepted = verify_download(part, entry, file.path, file.digest)
    part.rename(final)
    return accepted


def _accept_complete(path: Path, entry: CatalogEntry, file: _HubFile) -> RecordedFile | None:
    """Verifies a complete file and returns its description for the record.

    If a digest differs from the hub's or the catalogue's, deletes the file and returns None.
    """
    try:
        sync_file(path)
        return verify_download(path, entry, file.path, file.digest)
    except ModelFileError:
        return None


def _download(entry: CatalogEntry, repo: str, commit: str, file: _HubFile, part: Path, meter: FetchMeter) -> None:
    """Downloads the missing bytes of a file and appends them to `part`, which may be missing or incomplete.

    A partial file longer than the hub's size is emptied first.
    """
    # `http_get` is what hf_hub_download calls. That function itself does not resume a file in a new process
    # (huggingface_hub 2.4).
    with part.open("ab") as sink:
        if file.size is not None and sink.tell() > file.size:
            sink.truncate(0)
            sink.seek(0)
        meter.advance(sink.tell())
        try:
            http_get(
                hf_hub_url(repo, file.path, revision=commit),
                sink,
                resume_size=sink.tell(),
                headers=build_hf_headers(library_name=_LIBRARY, library_version=__version__),
                expected_size=file.size,
                displayed_filename=f"{entry.name}/{part.name}",
                tqdm_class=_make_counter(meter),
            )
        except HfHubHTTPError:
            raise
        except OSError as error:
            if error.errno is not None:
                raise
            problem = f"came with {sink.tell():,} bytes, the hub lists {file.size:,}; fetch again"
            raise ModelFileError(f"{entry.name}/{file.path}", problem) from error
    sync_file(part)


def _make_counter(meter: FetchMeter) -> type[object]:
    """Returns a class that stands in for tqdm's progress bar in `http_get` and reports the bytes to `meter`.

    It has only the methods of tqdm that `http_get` calls; the library declares no type for them.
    """

    class Counter:
        """A progress bar that draws nothing. Reports the bytes that the library reads to the meter."""

        def __init__(self, *_: object, **__: object) -> None:
            """Accepts and ignores the arguments of a tqdm progress bar."""

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            """Does nothing."""

        def update(self, count: float = 1) -> None:
            """Adds `count` bytes to the meter."""
            meter.advance(int(count))

    return Counter


def _take_cached(entry: CatalogEntry, repo: str, revision: str, staging: Path, progress: FetchProgress) -> Fetched:
    """Copies the files from the local cache of huggingface_hub (HF_HOME) to `staging`. Used if HF_HUB_OFFLINE is set.

    Raises `ModelError` if the cache does not have the revision.
    """
    snapshot = _find_snapshot(repo, revision, ["config.json", *(file.path for file in entry.files.values())])
    if snapshot is None:
        raise ModelError(f"{entry.name}: HF_HUB_OFFLINE is set, and the hub's cache (HF_HOME) lacks {entry.source}")
    names = select_files([path.name for path in snapshot.iterdir()], entry)
    meter = FetchMeter(entry.name, sum((snapshot / name).stat().st_size for name in names), progress)
    recorded = {}
    for name in names:
        shutil.copyfile(snapshot / name, staging / name)
        sync_file(staging / name)
        # Files in the cache are links to blobs, and a blob is named by its ETag.
        blob = Path(os.path.realpath(snapshot / name)).name
        accepted = verify_download(staging / name, entry, name, blob if is_digest(blob) else None)
        recorded[file_key(entry, name)] = accepted
        meter.advance(accepted.size)
    check_shards(staging, names, entry)
    return Fetched(snapshot.name, recorded)


def _find_snapshot(repo: str, revision: str, candidates: Sequence[str]) -> Path | None:
    """Returns the folder of a revision in the local cache, found by one of the candidate file names; else None."""
    paths = (try_to_load_from_cache(repo, name, revision=revision) for name in candidates)
    return next((Path(path).parent for path in paths if isinstance(path, str)), None)
