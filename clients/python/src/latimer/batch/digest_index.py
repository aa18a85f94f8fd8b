"""A compact map from digests to file offsets: 16 bytes an entry, where a dict takes about 100."""

from __future__ import annotations

from array import array

_SMALLEST = 1 << 12


class DigestIndex:
    """A hash table with linear probing of 64-bit digests.

    Two digests with the same first 64 bits share an entry, so the caller must compare the whole digest with what the
    offset leads to. The table is at most half full.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(_SMALLEST)

    def __len__(self) -> int:
        return self._count

    def __setitem__(self, digest: bytes, offset: int) -> None:
        if 2 * self._count >= self._mask:
            self._grow()
        self._put(_to_key(digest), offset)

    def get(self, digest: bytes) -> int | None:
        """Returns the offset of a digest; None if there is none."""
        key = _to_key(digest)
        keys, mask = self._keys, self._mask
        slot = key & mask
        while (found := keys[slot]) != key:
            if not found:
                return None
            slot = (slot + 1) & mask
        return self._offsets[slot]

    def _allocate(self, size: int) -> None:
        self._mask = size - 1
        self._keys = array("Q", bytes(8 * size))
        self._offsets = array("Q", bytes(8 * size))

    def _put(self, key: int, offset: int) -> None:
        keys, mask = self._keys, self._mask
        slot = key & mask
        while (found := keys[slot]) and found != key:
            slot = (slot + 1) & mask
        if not found:
            self._count += 1
            keys[slot] = key
        self._offsets[slot] = offset

    def _grow(self) -> None:
        keys, offsets = self._keys, self._offsets
        self._count = 0
        self._allocate(2 * len(keys))
        for key, offset in zip(keys, offsets, strict=True):
            if key:
                self._put(key, offset)


def _to_key(digest: bytes) -> int:
    """Returns the first 64 bits; 1 in place of 0, which marks a free slot."""
    return int.from_bytes(digest[:8], "little") or 1
