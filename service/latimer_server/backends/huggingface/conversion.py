"""Converts a checkpoint to CTranslate2's format, once, into a folder that is renamed into place when it is complete.

The conversion runs in its own process (`conversion_worker`): it needs several times the model's memory and a second
team of torch's threads, which would slow down every later batch. The process ends when the request is cancelled, and
at a time limit.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock, Timeout

from latimer_server.backends.huggingface.conversion_worker import KEPT, WEIGHTS, ConversionJob, lacks_tokenizer
from latimer_server.backends.huggingface.manifest import is_complete, verify_manifest, write_manifest
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.decoding import Cancelled
from latimer_server.core.errors import ModelError, ModelFileError

_log = logging.getLogger(__name__)

# The version of the layout of converted folders. Raise it to convert all checkpoints again: it is in the fingerprint.
_LAYOUT = 4
# The fingerprint covers this many bytes at each end of a file.
_SAMPLE_BYTES = 1 << 20
# The time limit of a conversion, and of waiting for another process that converts the same model. A model of 3 GB takes
# about three minutes on two cores.
_LIMIT_SECONDS = 1_800.0
_POLL_SECONDS = 0.1
# The prefix of the names of folders in which a conversion is being made.
_SCRATCH = ".new-"


@dataclass(frozen=True)
class Converted:
    """The folders of a converted model.

    `weights` has the model in CTranslate2's format, `checkpoint` the checkpoint's small files, such as `config.json`.
    """

    weights: Path
    checkpoint: Path


def is_converted(request: LoadRequest, quantization: str) -> bool:
    """True if the conversion to this type exists and matches its record, so that `convert` has nothing to do."""
    return request.cache is not None and is_complete(_place(request, request.cache, quantization))


def convert(request: LoadRequest, quantization: str) -> Converted:
    """Returns the folders of the model in CTranslate2's format; converts it first unless an undamaged result exists.

    Raises `ModelError` if the conversion fails, takes too long or is cancelled, or if the folder cannot be written.
    """
    folder = _make(request, quantization, only_unpack=False)
    return Converted(folder / "weights", folder / "checkpoint")


def prepare_checkpoint(request: LoadRequest) -> Path:
    """Returns the folder from which transformers can load the checkpoint.

    That is the checkpoint's own folder, or a folder in the cache that is made from a GGUF file or from a checkpoint
    that lacks the `tokenizer.json` that it needs. Raises `ModelError` as `convert` does.
    """
    packed = any(path.suffix == ".gguf" for path in request.files.values())
    if not packed and not lacks_tokenizer(request.folder):
        return request.folder
    return _make(request, "", only_unpack=True) / "checkpoint"


def find_conversion(cache: Path | None, quantization: str) -> Path | None:
    """Returns the newest folder in `cache` with a conversion to the type `quantization`; None if there is none.

    It may have been made from earlier files of the checkpoint. The type `unpacked` is for transformers.
    """
    folders = [folder for folder in cache.glob(f"*-{quantization}") if folder.name[0] != "."] if cache else []
    try:
        return max(folders, key=lambda folder: folder.stat().st_mtime_ns, default=None)
    except OSError:  # another process has just replaced it
        return None


def verify_conversion(request: LoadRequest) -> None:
    """Compares the files of all conversions of the checkpoint's current files with their recorded digests.

    Raises `ModelFileError` naming the first file that is missing or changed.
    """
    if request.cache is None or not request.cache.is_dir():
        return
    for folder in sorted(request.cache.glob(f"{_fingerprint(request)}-*")):
        try:
            verify_manifest(folder)
        except ModelFileError as error:
            place = f"{request.cache.parent.name}/{request.cache.name}/{error.file}"
            raise ModelFileError(place, f"{error.problem}; the next load converts it again") from error


def _make(request: LoadRequest, quantization: str, *, only_unpack: bool) -> Path:
    """Returns the folder of a conversion in the cache. Makes it first unless it is complete and undamaged."""
    if request.cache is None:
        raise ModelError("has no folder for the converted model")
    target = _place(request, request.cache, quantization)
    if is_complete(target):
        return target
    try:
        request.cache.mkdir(parents=True, exist_ok=True)
        with _locked(request.cache, request.cancelled):
            if is_complete(target):  # another process has made the same conversion
                return target
            if target.exists():
                _log.warning("converted model is damaged", extra={"model": request.name, "path": str(target)})
            for leftover in request.cache.glob(f"{_SCRATCH}*"):  # of a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=request.cache) as scratch:
                output = Path(scratch) / "made"
                output.mkdir()
                _log.info("converting", extra={"model": request.name, "quantization": quantization})
                gguf = next((str(path) for path in request.files.values() if path.suffix == ".gguf"), "")
                job = ConversionJob(
                    str(request.folder), gguf, quantization, str(output), request.allow_pickle, only_unpack
                )
                _run(job, Path(scratch), request.cancelled)
                if only_unpack and not gguf:
                    _link_weights(request.folder, output / "checkpoint", target / "checkpoint")
                write_manifest(output)
                shutil.rmtree(target, ignore_errors=True)
                output.rename(target)
            _forget_old(request.cache, target)
    except OSError as error:
        raise ModelError(f"{error.filename or request.cache}: cannot be written: {error.strerror or error}") from error
    return target


def _place(request: LoadRequest, cache: Path, quantization: str) -> Path:
    return cache / f"{_fingerprint(request)}-{quantization or 'unpacked'}"


@contextmanager
def _locked(cache: Path, cancelled: Cancelled) -> Iterator[None]:
    """A context manager that holds the lock file of a model, so that only one process converts it at a time."""
    lock = FileLock(cache.with_name(f".{cache.name}.lock"))
    try:
        lock.acquire(timeout=_LIMIT_SECONDS, poll_interval=_POLL_SECONDS, cancel_check=cancelled)
    except Timeout as error:
        raise ModelError(f"another process has been converting it for {_LIMIT_SECONDS:g} s") from error
    try:
        yield
    finally:
        lock.release()


def _run(job: ConversionJob, scratch: Path, cancelled: Cancelled) -> None:
    """Runs the conversion in a child process, which gets killed at a cancellation or at the time limit.

    Raises `ModelError` then, and if the process fails.
    """
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TMPDIR": str(scratch)}
    errors = scratch / "errors"
    with errors.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "latimer_server.backends.huggingface.conversion_worker", job.describe()],
            stdin=subprocess.DEVNULL,  # a library that asks for leave to run a checkpoint's code gets no answer
            stdout=subprocess.DEVNULL,
            stderr=sink,
            env=environment,
            start_new_session=True,  # so that its child processes can be ended with it
        )
        try:
            _wait_for(process, cancelled)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # it has ended already
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        lines = [line.strip() for line in errors.read_text("utf-8", "replace").splitlines() if line.strip()]
        raise ModelError(f"could not be converted: {lines[-1][:500] if lines else f'exit {process.returncode}'}")


def _wait_for(process: subprocess.Popen[bytes], cancelled: Cancelled) -> None:
    end = time.monotonic() + _LIMIT_SECONDS
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
            return
        if cancelled():
            raise ModelError("its conversion was cancelled: no request needs it any more")
        if time.monotonic() > end:
            raise ModelError(f"could not be converted in {_LIMIT_SECONDS:g} s")


def _link_weights(source: Path, output: Path, final: Path) -> None:
    """Puts symbolic links to the weight files of `source` into `output`, instead of copies.

    The links are relative to `final`, the later name of `output`, so that they stay valid in a copy of a store.
    """
    for path in source.iterdir():
        if path.suffix in WEIGHTS or path.name.endswith(".index.json"):
            (output / path.name).symlink_to(os.path.relpath(path.resolve(), final.resolve()))


def _fingerprint(request: LoadRequest) -> str:
    """Returns a digest of the inputs of a conversion: the checkpoint's files and the version of the converter.

    It covers names, sizes and both ends of files, but no times, so that it stays the same in a copy of a store.
    """
    digest = hashlib.sha256(f"{_LAYOUT} {version('ctranslate2')}".encode())
    for path in sorted(_list_files(request)):
        try:
            size = path.stat().st_size
            digest.update(f"{path.name} {size} ".encode())
            with path.open("rb") as file:
                digest.update(file.read(_SAMPLE_BYTES))
                file.seek(max(0, size - _SAMPLE_BYTES))
                digest.update(file.read(_SAMPLE_BYTES))
        except OSError as error:
            raise ModelFileError(path.name, f"cannot be read: {error.strerror}") from error
    return digest.hexdigest()[:16]


def _list_files(request: LoadRequest) -> Iterable[Path]:
    named = set(request.files.values())
    wanted = (path for path in request.folder.iterdir() if path.name in KEPT or path.suffix in WEIGHTS)
    return named | {path for path in wanted if path.is_file()} if request.folder.is_dir() else named


def _forget_old(cache: Path, current: Path) -> None:
    """Removes other conversions to the type of `current` from the cache: of earlier files, or by another version."""
    kind = current.name.partition("-")[2]
    for folder in cache.glob(f"*-{kind}"):
        if folder != current:
            shutil.rmtree(folder, ignore_errors=True)
