"""The source `mozilla:de-en`: the registry of the students that ship in Firefox.

Its generator is db/updater.py in mozilla/translations. It is read as something that may change: what is not
understood is refused by name. Knows nothing of the store beyond the staging folder that it is given.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from latimer_server import __version__
from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.catalog.source_name import source_location
from latimer_server.models.sources.digests import sync_file
from latimer_server.models.sources.download import FetchMeter, FetchProgress, raising_model_errors, verify_download
from latimer_server.models.sources.fetched import Fetched, RecordedFile

_KEYS = {
    "model": "model",
    "lexicalShortlist": "shortlist",
    "vocab": "vocabulary",
    "srcVocab": "source_vocabulary",
    "trgVocab": "target_vocabulary",
}
# Bigger is better where nothing was measured.
_ARCHITECTURES = ("tiny", "base-memory", "base")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,199}")
_SHA256 = re.compile("[0-9a-f]{64}")
_MAX_REGISTRY_BYTES = 64 << 20
# The largest published model is 57 MB.
_MAX_FILE_BYTES = 1 << 30
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Student:
    """A model of the registry: better ones compare greater by `rank`."""

    rank: tuple[int, float, int]
    files: Mapping[str, Mapping[str, Any]]
    revision: str


def fetch_student(entry: CatalogEntry, staging: Path, registry_url: str, progress: FetchProgress) -> Fetched:
    """Brings the best released model of the entry's pair into `staging`; parts of an earlier try are gone on with.

    Raises `ModelError` or `ModelFileError` in one line that names the model, and the file where it is one.
    """
    pair = source_location(entry.source)
    headers = {"user-agent": f"latimer/{__version__}", "accept-encoding": "gzip, identity"}
    with (
        raising_model_errors(entry.name, staging),
        httpx2.Client(headers=headers, timeout=30, follow_redirects=True) as client,
    ):
        with _told_plainly(entry, registry_url):
            registry = _read_registry(client, registry_url)
        student = _choose(registry, pair, entry)
        base = registry.get("baseUrl") or registry_url.rpartition("/")[0].rpartition("/")[0]
        meter = FetchMeter(entry.name, 0, progress)
        recorded = {}
        for key, file in student.files.items():
            url = f"{str(base).rstrip('/')}/{file['path'].lstrip('/')}"
            with raising_model_errors(entry.name, staging / url.rpartition("/")[2].removesuffix(".gz")):
                with _told_plainly(entry, url):
                    packed = _download(client, url, staging, meter)
                recorded[_KEYS[key]] = _unpack(packed, entry, file, staging)
    return Fetched(student.revision, recorded)


def _read_registry(client: httpx2.Client, url: str) -> dict[str, Any]:
    content = bytearray()
    with client.stream("GET", url) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes(_CHUNK):
            content += chunk
            if len(content) > _MAX_REGISTRY_BYTES:
                raise ValueError(f"is larger than {_MAX_REGISTRY_BYTES} bytes")
    registry = json.loads(bytes(content))
    if not isinstance(registry, dict) or not isinstance(registry.get("models"), dict):
        raise ValueError("has no table of models")
    return registry


def _choose(registry: Mapping[str, Any], pair: str, entry: CatalogEntry) -> _Student:
    """Released before the others, then by chrF, then by size."""
    listed = registry["models"].get(pair)
    students = [student for item in listed if (student := _understand(item))] if isinstance(listed, list) else []
    if not students:
        near = ", ".join(
            sorted(name for name in registry["models"] if set(name.split("-")) & set(pair.split("-")))[:20]
        )
        raise ModelError(f"{entry.name}: Mozilla's registry has no model {pair} that is understood; near it: {near}")
    best = max(students, key=lambda student: student.rank)
    for file in best.files.values():
        if not file["path"].endswith(".gz"):
            raise ModelFileError(
                f"{entry.name}/{file['path'].rpartition('/')[2]}", "is packed in another way than the .gz that is known"
            )
    return best


def _understand(item: Any) -> _Student | None:  # noqa: ANN401 (JSON)
    """A model with all the files that one needs; None for what is none, or not known yet."""
    if not isinstance(item, dict) or not isinstance(item.get("files"), dict):
        return None
    files = {
        key: file
        for key, file in item["files"].items()
        if key in _KEYS
        and isinstance(file, dict)
        and isinstance(path := file.get("path"), str)
        and _NAME.fullmatch(path.rpartition("/")[2])
    }
    vocabularies = files.keys() & {"vocab", "srcVocab", "trgVocab"}
    names = {file["path"].rpartition("/")[2] for file in files.values()}
    if len(names) < len(files) or "model" not in files or vocabularies not in ({"vocab"}, {"srcVocab", "trgVocab"}):
        return None
    if not _SHA256.fullmatch(str(files["model"].get("uncompressedHash", ""))):
        return None
    status = str(item.get("releaseStatus") or "")
    released = 2 if status.startswith("Release") else 1 if status else 0
    architecture = str(item.get("architecture"))
    size = _ARCHITECTURES.index(architecture) if architecture in _ARCHITECTURES else -1
    # models/PAIR/RUN/exported/model.X.intgemm.alphas.bin.gz: the training run names the version.
    steps = files["model"]["path"].strip("/").split("/")
    run = steps[2] if len(steps) > 3 else ""
    return _Student(
        (released, _mean_chrf(item.get("metrics")), size), files, " ".join(filter(None, (architecture, run)))
    )


def _mean_chrf(metrics: Any) -> float:  # noqa: ANN401 (JSON)
    """The mean over the test sets that have one; -1 where none has."""
    scores = [
        float(score)
        for by_metric in (metrics.values() if isinstance(metrics, dict) else ())
        if isinstance(by_metric, dict)
        and isinstance(score := by_metric.get("chrf", by_metric.get("chrfpp")), int | float)
    ]
    return sum(scores) / len(scores) if scores else -1.0


def _download(client: httpx2.Client, url: str, staging: Path, meter: FetchMeter) -> Path:
    """The file as it is stored, packed. What is there of it already is not asked for again."""
    part = staging / f"{url.rpartition('/')[2]}.{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    with part.open("ab") as sink:
        asked = {"range": f"bytes={sink.tell()}-"} if sink.tell() else {}
        with client.stream("GET", url, headers=asked) as response:
            if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
                meter.total += sink.tell()
                meter.advance(sink.tell())
                return part  # all of it is there
            response.raise_for_status()
            if response.status_code != httpx2.codes.PARTIAL_CONTENT:
                sink.truncate(0)
                sink.seek(0)
            length = response.headers.get("content-length", "")
            meter.total += sink.tell() + (int(length) if length.isdigit() else 0)
            meter.advance(sink.tell())
            for chunk in response.iter_raw():  # as they come: what is held back is lost with the connection
                sink.write(chunk)
                meter.advance(len(chunk))
                if sink.tell() > _MAX_FILE_BYTES:
                    raise ValueError(f"is larger than {_MAX_FILE_BYTES} bytes")
    return part


def _unpack(packed: Path, entry: CatalogEntry, file: Mapping[str, Any], staging: Path) -> RecordedFile:
    """Unpacks a file, no further than it may be long, and compares it with the registry's digest."""
    name = file["path"].rpartition("/")[2].removesuffix(".gz")
    size = file.get("uncompressedSize")
    limit = size if isinstance(size, int) and 0 < size < _MAX_FILE_BYTES else _MAX_FILE_BYTES
    final = staging / name
    written = 0
    try:
        with gzip.open(packed) as source, final.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > limit:
                    raise ModelFileError(f"{entry.name}/{name}", f"unpacks to more than {limit:,} bytes")
                sink.write(chunk)
    except (gzip.BadGzipFile, zlib.error, EOFError, ModelFileError) as error:
        packed.unlink()
        final.unlink(missing_ok=True)
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{entry.name}/{name}.gz", f"is damaged ({error}); fetch again") from error
    sync_file(final)
    published = file.get("uncompressedHash")
    try:
        return verify_download(final, entry, name, published if isinstance(published, str) else None)
    except ModelFileError:
        packed.unlink()
        raise


@contextmanager
def _told_plainly(entry: CatalogEntry, url: str) -> Iterator[None]:
    what = f"{entry.name}: {url}"
    try:
        yield
    except httpx2.HTTPStatusError as error:
        raise ModelError(f"{what}: the server answered HTTP {error.response.status_code}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{what}: cannot be reached or fell silent ({told}); fetch again to go on") from error
    except ValueError as error:
        raise ModelError(f"{what}: is no registry or file of Mozilla's: {error}") from error
