"""Segment cache: keeps finished hypotheses within a bound of bytes, and drops the least recently used.

Not thread-safe: must be used inside one event loop.
"""

from __future__ import annotations

import marshal
import sys
from array import array
from collections import OrderedDict
from hashlib import blake2b
from typing import TypeAlias

from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds

# The memory that each cached hypothesis is taken to need besides its key and its value, an upper bound: its places in
# the hash table and in the order of use. tests/unit/test_segment_cache.py measures it.
_ENTRY_BYTES = 200
_DIGEST_BYTES = 16
# A hypothesis as a tuple, which marshal can write: its fields in order, its alternatives as such tuples.
_Packed: TypeAlias = "tuple[TokenIds, float, bool, tuple[_Packed, ...], tuple[tuple[int, float], ...]]"


class SegmentCache:
    """The cached hypotheses of all models, in at most `max_bytes` bytes.

    A key is a digest (BLAKE2b, 128 bits) of model revision, decoding options and input token ids, so the input is not
    kept. A value is the hypothesis as token ids in marshal's format and takes about 5 bytes per token.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self.hits = self.misses = 0  # of `get`
        self._values: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def of_model(self, revision: str) -> ModelCache:
        """Returns a view of the cache for one revision of one model. `revision`: must identify both."""
        return ModelCache(self, revision)

    def get(self, key: bytes) -> bytes | None:
        """Returns the value of a key and marks it as the most recently used; None if the key is not cached."""
        value = self._values.get(key)
        if value is None:
            self.misses += 1
            return None
        self.hits += 1
        self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Stores a value, and drops the least recently used ones to make room.

        A value above the bound is not stored. An earlier value of the key is dropped in any case.
        """
        self._drop(key)
        size = _count_bytes(key, value)
        if size > self.max_bytes:
            return
        while self.used_bytes + size > self.max_bytes:
            self._drop(next(iter(self._values)))
        self._values[key] = value
        self.used_bytes += size

    def _drop(self, key: bytes) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self.used_bytes -= _count_bytes(key, value)


class ModelCache:
    """The part of a `SegmentCache` that belongs to one revision of one model."""

    def __init__(self, cache: SegmentCache, revision: str) -> None:
        self._cache = cache
        self._revision = revision

    def get(self, ids: TokenIds, options: DecodingOptions) -> Hypothesis | None:
        """Returns the model's hypothesis for exactly these input ids and options; None if it is not cached."""
        value = self._cache.get(self._make_key(ids, options))
        return None if value is None else _unpack(marshal.loads(value))  # noqa: S302 (written by this process)

    def put(self, ids: TokenIds, options: DecodingOptions, hypothesis: Hypothesis) -> None:
        """Stores the model's hypothesis for these input ids and options.

        Must not be called for a cancelled computation, whose hypothesis is incomplete.
        """
        self._cache.put(self._make_key(ids, options), marshal.dumps(_pack(hypothesis)))

    def _make_key(self, ids: TokenIds, options: DecodingOptions) -> bytes:
        digest = blake2b(f"{self._revision}\0{options!r}\0".encode(), digest_size=_DIGEST_BYTES)
        digest.update(array("q", ids))
        return digest.digest()


def _count_bytes(key: bytes, value: bytes) -> int:
    return sys.getsizeof(key) + sys.getsizeof(value) + _ENTRY_BYTES


def _pack(hypothesis: Hypothesis) -> _Packed:
    alternatives = tuple(map(_pack, hypothesis.alternatives))
    return hypothesis.ids, hypothesis.log_prob, hypothesis.truncated, alternatives, hypothesis.alignment


def _unpack(packed: _Packed) -> Hypothesis:
    ids, log_prob, truncated, alternatives, alignment = packed
    return Hypothesis(ids, log_prob, truncated, tuple(map(_unpack, alternatives)), alignment)
