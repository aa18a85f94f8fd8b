"""What models made of pieces of text before, kept within a bound of bytes; the least recently used goes first.

Knows token ids, options and the revisions of models by name; nothing of models or requests. One event loop's.
"""

from __future__ import annotations

import marshal
import sys
from array import array
from collections import OrderedDict
from hashlib import blake2b
from typing import Any

from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds

# What an entry takes beside its key and its value: its place in the table, which may have grown a moment ago, and in
# the order of use. tests/unit/test_segment_cache.py measures that this is no less than it is.
_ENTRY_BYTES = 200
_DIGEST_BYTES = 16


class SegmentCache:
    """Hypotheses by model revision, options and token ids, in at most `max_bytes` bytes.

    Keys are digests (BLAKE2b, 128 bits): no text of a user is kept as such. Values are packed, about 5 bytes a token.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._values: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def of_model(self, revision: str) -> ModelCache:
        """The part of it that is one revision's of one model; no other revision's entries are found there."""
        return ModelCache(self, revision)

    def get(self, key: bytes) -> bytes | None:
        """A value, which counts as used now."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps a value, and drops those used longest ago if it must. One larger than the bound is not kept."""
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
    """The cache as one model sees it."""

    def __init__(self, cache: SegmentCache, revision: str) -> None:
        self._cache = cache
        self._revision = revision

    def get(self, ids: TokenIds, options: DecodingOptions) -> Hypothesis | None:
        """What the model made of these ids with these options, exactly; None if that is not known."""
        value = self._cache.get(self._name(ids, options))
        return None if value is None else _unpack(marshal.loads(value))  # noqa: S302 (this process packed it)

    def put(self, ids: TokenIds, options: DecodingOptions, hypothesis: Hypothesis) -> None:
        """Keeps what the model made of these ids. Only for what was computed to its end."""
        self._cache.put(self._name(ids, options), marshal.dumps(_pack(hypothesis)))

    def _name(self, ids: TokenIds, options: DecodingOptions) -> bytes:
        digest = blake2b(f"{self._revision}\0{options!r}\0".encode(), digest_size=_DIGEST_BYTES)
        digest.update(array("q", ids))
        return digest.digest()


def _count_bytes(key: bytes, value: bytes) -> int:
    return sys.getsizeof(key) + sys.getsizeof(value) + _ENTRY_BYTES


def _pack(one: Hypothesis) -> tuple[Any, ...]:
    return one.ids, one.log_prob, one.truncated, tuple(map(_pack, one.alternatives)), one.alignment


def _unpack(packed: tuple[Any, ...]) -> Hypothesis:
    ids, log_prob, truncated, alternatives, alignment = packed
    return Hypothesis(ids, log_prob, truncated, tuple(map(_unpack, alternatives)), alignment)
