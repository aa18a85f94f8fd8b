"""The source `mozilla:de-en`: fetches Firefox's translation models (students) from Mozilla's registry.

The registry is a JSON file written by db/updater.py in mozilla/translations. Its format may change: models in an
unknown format are skipped, and a pair without a usable model is an error that names the pair.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from latimer_server import __version__
from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.catalog.source_kinds import source_location
from latimer_server.models.sources.digests import sync_file
from latimer_server.models.sources.download import FetchMeter, FetchProgress, raising_model_errors, verify_download
from latimer_server.models.sources.fetched import Fetched, RecordedFile
from latimer_server.models.sources.fetching import FetchContext

# The keys of the store's record by the registry's keys. Other files of the registry are not fetched.
_KEYS = {
    "model": "model",
    "lexicalShortlist": "shortlist",
    "vocab": "vocabulary",
    "srcVocab": "source_vocabulary",
    "trgVocab": "target_vocabulary",
}
# The registry's names of model sizes, from small to large. The larger model is preferred between models of the same
# release status and mean chrF, as when no metrics are published.
_ARCHITECTURES = ("tiny", "base-memory", "base")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,199}")
_SHA256 = re.compile("[0-9a-f]{64}")
_MAX_REGISTRY_BYTES = 64 << 20
# A bound on one file, compressed and uncompressed. The largest published model has 57 MB.
_MAX_FILE_BYTES = 1 << 30
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Registry:
    """The content of the registry.

    `base_url`: the URL that the files' paths are relative to. `models`: the JSON list of models by pair, such as
    `de-en`; its format is not yet checked.
    """

    base_url: str
    models: Mapping[str, object]


@dataclass(frozen=True)
class _RegistryFile:
    """A compressed file of the registry.

    `path`: relative to the base URL. `sha256` and `max_bytes`: the digest and the size of the uncompressed content. If
    the registry does not give them, they are None and `_MAX_FILE_BYTES`.
    """

    path: str
    sha256: str | None
    max_bytes: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class _Student:
    """A model of the registry. `files`: by the registry's keys. `revision`: architecture and training run.

    `rank`: release status (2 released, 1 another status, 0 none), mean chrF, and index in `_ARCHITECTURES` (-1 if
    unknown). The greatest is the best.
    """

    rank: tuple[int, float, int]
    files: Mapping[str, _RegistryFile]
    revision: str


def fetch_students(
    staged: Sequence[tuple[CatalogEntry, Path]], context: FetchContext
) -> Iterator[tuple[CatalogEntry, Fetched]]:
    """Fetches models with `mozilla:` sources, one after the other. Implements `models.sources.fetching.Fetcher`."""
    for entry, staging in staged:
        yield entry, _fetch_student(entry, staging, context.mozilla_registry, context.progress)


def _fetch_student(entry: CatalogEntry, staging: Path, registry_url: str, progress: FetchProgress) -> Fetched:
    """Fetches the best model of the entry's pair into `staging`, and resumes partial downloads found there.

    Released models are preferred to others.

    Raises `ModelError` or `ModelFileError` with a message of one line that names the model and the file.
    """
    pair = source_location(entry.source)
    headers = {"user-agent": f"latimer/{__version__}", "accept-encoding": "gzip, identity"}
    with (
        raising_model_errors(entry.name, staging),
        httpx2.Client(headers=headers, timeout=30, follow_redirects=True) as client,
    ):
        with _raising_download_errors(entry, registry_url):
            registry = _read_registry(client, registry_url)
        student = _choose(registry, pair, entry)
        meter = FetchMeter(entry.name, 0, progress)
        recorded = {}
        for key, file in student.files.items():
            url = f"{registry.base_url.rstrip('/')}/{file.path.lstrip('/')}"
            with raising_model_errors(entry.name, staging / url.rpartition("/")[2].removesuffix(".gz")):
                with _raising_download_errors(entry, url):
                    packed = _download(client, url, staging, meter)
                recorded[_KEYS[key]] = _unpack(packed, entry, file, staging)
    return Fetched(student.revision, recorded)


def _read_registry(client: httpx2.Client, url: str) -> _Registry:
    """Downloads the registry. Raises ValueError if it is too large or malformed."""
    content = bytearray()
    with client.stream("GET", url) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes(_CHUNK):
            content += chunk
            if len(content) > _MAX_REGISTRY_BYTES:
                raise ValueError(f"it is larger than {_MAX_REGISTRY_BYTES} bytes")
    registry: object = json.loads(bytes(content))
    if not isinstance(registry, dict) or not isinstance(models := registry.get("models"), dict):
        raise ValueError("it has no table of models")
    base_url = registry.get("baseUrl") or url.rpartition("/")[0].rpartition("/")[0]
    return _Registry(str(base_url), models)


def _choose(registry: _Registry, pair: str, entry: CatalogEntry) -> _Student:
    """Returns the best model of a pair. Raises `ModelError` if the pair has no model in a known format.

    Raises `ModelFileError` if a file of the best model is not compressed as .gz.
    """
    listed = registry.models.get(pair)
    students = [student for item in listed if (student := _parse_student(item))] if isinstance(listed, list) else []
    if not students:
        similar = sorted(name for name in registry.models if set(name.split("-")) & set(pair.split("-")))
        raise ModelError(
            f"{entry.name}: Mozilla's registry has no model {pair} in a known format; "
            f"similar pairs: {', '.join(similar[:20])}"
        )
    best = max(students, key=lambda student: student.rank)
    for file in best.files.values():
        if not file.path.endswith(".gz"):
            raise ModelFileError(
                f"{entry.name}/{file.name}", "is not compressed as .gz, which is all that is supported"
            )
    return best


def _parse_student(item: object) -> _Student | None:
    """Parses a model of the registry's JSON.

    Returns None if the model lacks a necessary file or the digest of its weights, or has an unknown format.
    """
    if not isinstance(item, dict) or not isinstance(item.get("files"), dict):
        return None
    parsed = {key: _parse_file(value) for key, value in item["files"].items() if key in _KEYS}
    files = {key: file for key, file in parsed.items() if file}
    vocabularies = files.keys() & {"vocab", "srcVocab", "trgVocab"}
    names = {file.name for file in files.values()}
    if len(names) < len(files) or "model" not in files or vocabularies not in ({"vocab"}, {"srcVocab", "trgVocab"}):
        return None
    model = files["model"]
    if not _SHA256.fullmatch(model.sha256 or ""):
        return None
    status = str(item.get("releaseStatus") or "")
    released = 2 if status.startswith("Release") else 1 if status else 0
    architecture = str(item.get("architecture"))
    size = _ARCHITECTURES.index(architecture) if architecture in _ARCHITECTURES else -1
    # The path is models/PAIR/RUN/exported/model.X.intgemm.alphas.bin.gz. The training run serves as the version.
    parts = model.path.strip("/").split("/")
    run = parts[2] if len(parts) > 3 else ""
    revision = " ".join(filter(None, (architecture, run)))
    return _Student((released, _mean_chrf(item.get("metrics")), size), files, revision)


def _parse_file(item: object) -> _RegistryFile | None:
    if not isinstance(item, dict) or not isinstance(path := item.get("path"), str):
        return None
    if not _NAME.fullmatch(path.rpartition("/")[2]):
        return None
    digest, size = item.get("uncompressedHash"), item.get("uncompressedSize")
    max_bytes = size if isinstance(size, int) and 0 < size < _MAX_FILE_BYTES else _MAX_FILE_BYTES
    return _RegistryFile(path, digest if isinstance(digest, str) else None, max_bytes)


def _mean_chrf(metrics: object) -> float:
    """Returns the mean chrF, or chrF++ where chrF is missing, over the test sets; -1 if none is published."""
    scores = [
        float(score)
        for by_metric in (metrics.values() if isinstance(metrics, dict) else ())
        if isinstance(by_metric, dict)
        and isinstance(score := by_metric.get("chrf", by_metric.get("chrfpp")), int | float)
    ]
    return sum(scores) / len(scores) if scores else -1.0


def _download(client: httpx2.Client, url: str, staging: Path, meter: FetchMeter) -> Path:
    """Downloads a compressed file into the staging folder and returns its path. Resumes a partial download found there.

    Raises ValueError if it is larger than `_MAX_FILE_BYTES`.
    """
    part = staging / f"{url.rpartition('/')[2]}.{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    with part.open("ab") as sink:
        headers = {"range": f"bytes={sink.tell()}-"} if sink.tell() else {}
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
                meter.total += sink.tell()
                meter.advance(sink.tell())
                return part  # the file is complete
            response.raise_for_status()
            if response.status_code != httpx2.codes.PARTIAL_CONTENT:
                sink.truncate(0)
                sink.seek(0)
            length = response.headers.get("content-length", "")
            meter.total += sink.tell() + (int(length) if length.isdigit() else 0)
            meter.advance(sink.tell())
            for chunk in response.iter_raw():  # without buffering, so that a cut connection loses no received bytes
                sink.write(chunk)
                meter.advance(len(chunk))
                if sink.tell() > _MAX_FILE_BYTES:
                    raise ValueError(f"it is larger than {_MAX_FILE_BYTES} bytes")
    return part


def _unpack(packed: Path, entry: CatalogEntry, file: _RegistryFile, staging: Path) -> RecordedFile:
    """Decompresses the download `packed` into the staging folder, and returns the file's description for the record.

    Raises `ModelFileError` if the content is damaged, longer than the registry says or differs from its digest in the
    registry or the catalogue. The download is then deleted, so that the next fetch starts anew.
    """
    name = file.name.removesuffix(".gz")
    final = staging / name
    written = 0
    try:
        with gzip.open(packed) as source, final.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > file.max_bytes:
                    raise ModelFileError(f"{entry.name}/{name}", f"unpacks to more than {file.max_bytes:,} bytes")
                sink.write(chunk)
    except (gzip.BadGzipFile, zlib.error, EOFError, ModelFileError) as error:
        packed.unlink()
        final.unlink(missing_ok=True)
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{entry.name}/{name}.gz", f"is damaged ({error}); fetch again") from error
    sync_file(final)
    try:
        return verify_download(final, entry, name, file.sha256)
    except ModelFileError:
        packed.unlink()
        raise


@contextmanager
def _raising_download_errors(entry: CatalogEntry, url: str) -> Iterator[None]:
    """Turns errors of the HTTP client, and ValueErrors for a malformed or too large file, into a `ModelError`.

    Its message names the model and the URL.
    """
    subject = f"{entry.name}: {url}"
    try:
        yield
    except httpx2.HTTPStatusError as error:
        raise ModelError(f"{subject}: the server answered HTTP {error.response.status_code}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{subject}: cannot be reached or stopped sending ({cause}); fetch again to resume") from error
    except ValueError as error:
        raise ModelError(f"{subject}: is not a valid registry or model file: {error}") from error
