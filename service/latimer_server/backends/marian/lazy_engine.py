"""An engine that starts at the first request that needs beam search, which the native search does not do.

Most servers never need it. ONNX Runtime with a second copy of the weights costs 0.3 s and tens of megabytes.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.engine import DecodingState, Engine, Floats, ShortlistCandidates
from latimer_server.core.decoding import TokenIds
from latimer_server.core.errors import ModelFileError, NotServed


class OpenFile:
    """A file that stays open, so that it can be read after it was removed or replaced.

    Raises `ModelFileError` naming the file if it cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ModelFileError(self.name, f"cannot be read: {error.strerror}") from error
        weakref.finalize(self, os.close, self._file)

    def read(self) -> bytes:
        """Returns the current content of the whole file."""
        try:
            data = b""
            while more := os.pread(self._file, max(1, os.fstat(self._file).st_size - len(data)), len(data)):
                data = data + more if data else more
            return data
        except OSError as error:
            raise ModelFileError(self.name, f"cannot be read: {error.strerror}") from error


class LazyEngine:
    """An `Engine` that starts at the first use of `output_bias` or `begin`, from a model file that is read again then.

    The file may be removed before, but not overwritten. `data` is its content. `start` makes the engine from it. The
    two methods raise the errors of `start`. They raise `NotServed` if the content has changed, and from then on
    always. `memory_bytes` is 0 until the engine starts.
    """

    def __init__(self, file: OpenFile, data: bytes, shape: Architecture, start: Callable[[bytes], Engine]) -> None:
        self.shape = shape
        self.compute_type = "int8"
        self._file = file
        self._digest = _digest(data)
        self._start = start
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._overwritten = False

    @property
    def memory_bytes(self) -> int:
        """See `Engine.memory_bytes`."""
        return self._engine.memory_bytes if self._engine else 0

    @property
    def output_bias(self) -> Floats:
        """See `Engine.output_bias`."""
        return self.open().output_bias

    def begin(self, batch: Sequence[TokenIds], candidates: ShortlistCandidates, *, aligned: bool) -> DecodingState:
        """See `Engine.begin`."""
        return self.open().begin(batch, candidates, aligned=aligned)

    def open(self) -> Engine:
        """Returns the engine that computes; reads the file and starts it first if needed."""
        with self._lock:
            if self._engine is None:
                data = b"" if self._overwritten else self._file.read()
                self._overwritten = self._overwritten or _digest(data) != self._digest
                if self._overwritten:
                    raise NotServed(f"{self._file.name} was overwritten after the model was loaded: load it again")
                self._engine = self._start(data)
            return self._engine


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
