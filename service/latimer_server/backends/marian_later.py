"""An engine that is made when something asks for it that the native search does not do: beams.

Most servers never need it, and ONNX Runtime with another copy of the weights costs a third of a second and tens of
megabytes. Knows no engine but the one that it is given.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from latimer_server.backends.base import TokenIds
from latimer_server.backends.marian_engine import Candidates, Decoding, Engine, Floats
from latimer_server.backends.marian_shape import Shape
from latimer_server.errors import ModelFileError


class LaterEngine:
    """An `Engine` of a file that stays open, so that it may be removed meanwhile, but not written over.

    `data`: what was read of it. `start`: makes the engine of that. What `begin` raises besides its own is
    `ModelFileError`, when the file holds something else by then.
    """

    def __init__(self, path: Path, data: bytes, shape: Shape, start: Callable[[bytes], Engine]) -> None:
        self.shape = shape
        self.compute_type = "int8"
        self.memory_bytes = len(data)  # or a little less
        self._name = path.name
        self._digest, self._size = _digest(data), len(data)
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        self._start = start
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    @property
    def output_bias(self) -> Floats:
        """See `Engine.output_bias`."""
        return self.open().output_bias

    def begin(self, batch: Sequence[TokenIds], candidates: Candidates, *, aligned: bool) -> Decoding:
        """See `Engine.begin`."""
        return self.open().begin(batch, candidates, aligned=aligned)

    def open(self) -> Engine:
        """The engine, made now if it was not yet."""
        with self._lock:
            if self._engine is None:
                data = os.pread(self._file, self._size + 1, 0)
                if _digest(data) != self._digest:
                    raise ModelFileError(self._name, "was written over since the model was loaded; load it again")
                self._engine = self._start(data)
            return self._engine


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
