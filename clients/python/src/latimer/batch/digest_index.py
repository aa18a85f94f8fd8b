"""A map from digests to file offsets whose memory has a bound, however many entries there are.

The latest entries are in a hash table. When it is full, they move to a temporary SQLite database, which SQLite keeps in
a file that has no name and ends with the process. A Bloom filter answers for most digests that the database does not
have.
"""

from __future__ import annotations

import sqlite3
import sys
from array import array
from itertools import compress

from latimer.batch.results import OutputError

_SMALLEST = 1 << 12
# Entries of the hash table; it has twice as many slots of 16 bytes.
_MOST_RECENT = 1 << 16
# Bits of the filter, which takes 4 MB: 1,000,000 entries set 6 % of them, 10,000,000 set 45 %.
_FILTER_BITS = 25
_FILTER_MASK = (1 << _FILTER_BITS) - 1
_KEY_MASK = (1 << 63) - 1  # SQLite has signed integers


class DigestIndex:
    """A map from 63 bits of a digest to an offset. `most_recent`: the entries that are held in memory.

    Two digests that begin with the same bits share an entry, so the caller must compare the whole digest with what the
    offset leads to. Raises `OutputError` if the folder for temporary files is full.
    """

    def __init__(self, most_recent: int = _MOST_RECENT) -> None:
        self._most_recent = most_recent
        self._recent = _HashTable()
        self._older: _OlderEntries | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __setitem__(self, digest: bytes, offset: int) -> None:
        key = _to_key(digest)
        if self._recent.put(key, offset) and (self._older is None or self._older.get(key) is None):
            self._count += 1
        if self._recent.count >= self._most_recent:
            if self._older is None:
                self._older = _OlderEntries()
            self._older.add(self._recent)
            self._recent.clear()

    def get(self, digest: bytes) -> int | None:
        """Returns the offset of a digest; None if there is none."""
        key = _to_key(digest)
        offset = self._recent.get(key)
        if offset is None and self._older is not None:
            return self._older.get(key)
        return offset

    def close(self) -> None:
        """Removes the temporary file, if there is one."""
        if self._older is not None:
            self._older.close()


class _HashTable:
    """A hash table with linear probing. It is at most half full; a key is not 0, which marks a free slot."""

    def __init__(self) -> None:
        self.count = 0
        self._allocate(_SMALLEST)

    def put(self, key: int, offset: int) -> bool:
        """Sets the offset of a key. Returns True if the key is new."""
        if 2 * self.count >= self._mask:
            self._grow()
        keys, mask = self._keys, self._mask
        slot = key & mask
        while (found := keys[slot]) and found != key:
            slot = (slot + 1) & mask
        self._offsets[slot] = offset
        if found:
            return False
        self.count += 1
        keys[slot] = key
        return True

    def get(self, key: int) -> int | None:
        """Returns the offset of a key; None if there is none."""
        keys, mask = self._keys, self._mask
        slot = key & mask
        while (found := keys[slot]) != key:
            if not found:
                return None
            slot = (slot + 1) & mask
        return self._offsets[slot]

    def items(self) -> list[tuple[int, int]]:
        """Returns the keys and offsets in the order of the keys."""
        return sorted(zip(compress(self._keys, self._keys), compress(self._offsets, self._keys), strict=True))

    def clear(self) -> None:
        """Removes all keys. The table keeps its size."""
        self.count = 0
        self._allocate(len(self._keys))

    def _allocate(self, size: int) -> None:
        self._mask = size - 1
        self._keys = array("Q", bytes(8 * size))
        self._offsets = array("Q", bytes(8 * size))

    def _grow(self) -> None:
        items = self.items()
        self.count = 0
        self._allocate(2 * len(self._keys))
        for key, offset in items:
            self.put(key, offset)


class _OlderEntries:
    """The entries that are not in memory."""

    def __init__(self) -> None:
        self._filter = bytearray(1 << (_FILTER_BITS - 3))
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE entries (key INTEGER PRIMARY KEY, offset INTEGER NOT NULL)")

    def add(self, table: _HashTable) -> None:
        """Adds all entries of a table, or replaces those that there are."""
        items = table.items()
        bits = self._filter
        for key, _ in items:
            for position in (key & _FILTER_MASK, key >> _FILTER_BITS & _FILTER_MASK):
                bits[position >> 3] |= 1 << (position & 7)
        try:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", items)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise _to_output_error(error) from error

    def get(self, key: int) -> int | None:
        """Returns the offset of a key; None if there is none."""
        bits = self._filter
        first, second = key & _FILTER_MASK, key >> _FILTER_BITS & _FILTER_MASK
        if not (bits[first >> 3] >> (first & 7) & 1 and bits[second >> 3] >> (second & 7) & 1):
            return None
        try:
            row = self._database.execute("SELECT offset FROM entries WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise _to_output_error(error) from error
        return None if row is None else int(row[0])

    def close(self) -> None:
        """Closes the database, which removes its file."""
        self._database.close()


def _to_key(digest: bytes) -> int:
    """Returns the first 63 bits; 1 in place of 0, which marks a free slot."""
    return int.from_bytes(digest[:8], "little") & _KEY_MASK or 1


def _to_output_error(error: sqlite3.Error) -> OutputError:
    variable = "TMP" if sys.platform == "win32" else "SQLITE_TMPDIR"
    return OutputError(
        "the temporary folder",
        f"the index of finished units cannot be written: {error}",
        f"free some space there, or name another folder in {variable}; --resume goes on",
    )
