"""A map from digests to file offsets whose memory has a bound, however many entries there are.

The latest entries are in a dict. When it is full, they move to a temporary SQLite database, which SQLite keeps in a
file without a name that ends with the process.
"""

from __future__ import annotations

import sqlite3
import sys

from latimer.batch.results import OutputError

# Entries in the dict, which takes about 180 bytes for each.
_MOST_RECENT = 1 << 16
_KEY_MASK = (1 << 63) - 1  # SQLite has signed integers


class DigestIndex:
    """A map from 63 bits of a digest to an offset. `most_recent`: the entries that are held in memory.

    Two digests that begin with the same bits share an entry, so the caller must compare the whole digest with what the
    offset leads to. Raises `OutputError` if the folder for temporary files is full.
    """

    def __init__(self, most_recent: int = _MOST_RECENT) -> None:
        self._most_recent = most_recent
        self._recent: dict[int, int] = {}
        self._older: sqlite3.Connection | None = None

    def __len__(self) -> int:
        if self._older is None:
            return len(self._recent)
        self._move()
        return self._select(self._older, "SELECT count(*) FROM entries") or 0

    def __bool__(self) -> bool:
        return bool(self._recent) or self._older is not None

    def __setitem__(self, digest: bytes, offset: int) -> None:
        self._recent[_to_key(digest)] = offset
        if len(self._recent) >= self._most_recent:
            self._move()

    def get(self, digest: bytes) -> int | None:
        """Returns the offset of a digest; None if there is none."""
        key = _to_key(digest)
        offset = self._recent.get(key)
        if offset is not None or self._older is None:
            return offset
        return self._select(self._older, "SELECT offset FROM entries WHERE key = ?", key)

    def close(self) -> None:
        """Removes the temporary file, if there is one."""
        if self._older is not None:
            self._older.close()

    def _move(self) -> None:
        """Moves the latest entries to the database."""
        try:
            if self._older is None:
                self._older = _open_database()
            self._older.execute("BEGIN")
            # The order of the keys is that of the table, so that pages are written one after the other.
            self._older.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", sorted(self._recent.items()))
            self._older.execute("COMMIT")
        except sqlite3.Error as error:
            raise _to_output_error(error) from error
        self._recent.clear()

    @staticmethod
    def _select(database: sqlite3.Connection, query: str, *values: int) -> int | None:
        try:
            row = database.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise _to_output_error(error) from error
        return None if row is None else int(row[0])


def _open_database() -> sqlite3.Connection:
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE entries (key INTEGER PRIMARY KEY, offset INTEGER NOT NULL)")
    return database


def _to_key(digest: bytes) -> int:
    """Returns the first 63 bits of a digest."""
    return int.from_bytes(digest[:8], "little") & _KEY_MASK


def _to_output_error(error: sqlite3.Error) -> OutputError:
    variable = "TMP" if sys.platform == "win32" else "SQLITE_TMPDIR"
    return OutputError(
        "the temporary folder",
        f"the index of finished units cannot be written: {error}",
        f"free some space there, or name another folder in {variable}; --resume goes on",
    )
