"""A translation memory: an SQLite file of results, so that a text that did not change is not translated again.

A result of a server is found again for the same text, context, form, languages and options. A translation by a person,
which comes from a TMX file, is found for the same text and target language whatever the options are, and wins; one with
a context holds for that context only.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from latimer.batch.results import BatchError, OutputError, UnitResult
from latimer.files import Unit

VERSION = 1
_APPLICATION = 0x4C74_4D31  # "LtM1": tells the file from other SQLite files
_SCHEMA = f"""
CREATE TABLE entries (
    key BLOB PRIMARY KEY,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    context TEXT NOT NULL,
    form TEXT NOT NULL,
    source_language TEXT NOT NULL,
    target_language TEXT NOT NULL,
    options TEXT NOT NULL,
    flags TEXT NOT NULL,
    score REAL NOT NULL,
    by_person INTEGER NOT NULL,
    changed INTEGER NOT NULL
) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
"""
_INSERT = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "source, target, context, source_language, target_language, by_person, changed"
# SQLite allows 32,766 variables in a statement.
_KEYS = 1_024
_COMMIT_ROWS = 4_096
_COMMIT_SECONDS = 2.0
_BUSY_SECONDS = 30.0


class Entry(NamedTuple):
    """A translation of the memory. `source_language`: "" if the server detected it. `changed`: seconds since 1970."""

    source: str
    target: str
    context: str
    source_language: str
    target_language: str
    by_person: bool
    changed: int


class TranslationMemory:
    """An open memory. Several processes may use one file at a time. A context manager that saves and closes it.

    `source` and `target`: the languages of the batch. `options`: a digest of what else results depend on. Raises
    `BatchError` if the file is no memory, or cannot be written.
    """

    def __init__(self, path: Path, *, target: str = "", source: str | None = None, options: str = "") -> None:
        self._path = path
        self._target = target.lower()
        self._source = (source or "").lower()
        self._options = options
        self._rows: list[tuple[object, ...]] = []
        self._saved = time.monotonic()
        with self._errors():
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS)
            self._prepare()
            (self._has_corrections,) = self._database.execute(
                "SELECT EXISTS (SELECT 1 FROM entries WHERE by_person)"
            ).fetchone()

    def __enter__(self) -> TranslationMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._errors():
            (count,) = self._database.execute("SELECT count(*) FROM entries").fetchone()
        return int(count)

    def find(self, units: Sequence[Unit]) -> list[tuple[UnitResult, bool] | None]:
        """Returns for each unit its result and whether a person wrote it; None if it is not stored."""
        keys = [self._keys(unit) for unit in units]
        wanted = list({key for each in keys for key in each})
        found: dict[bytes, tuple[UnitResult, str, bool]] = {}
        with self._errors():
            for start in range(0, len(wanted), _KEYS):
                part = wanted[start : start + _KEYS]
                rows = self._database.execute(
                    "SELECT key, target, flags, score, source_language, by_person FROM entries"  # noqa: S608 (marks only)
                    f" WHERE key IN ({','.join('?' * len(part))})",
                    part,
                )
                for key, target, flags, score, language, by_person in rows:
                    names = tuple(flags.split(",")) if flags else ()
                    found[key] = UnitResult(target, names, score), language, bool(by_person)
        return [self._choose(each, found) for each in keys]

    def add(self, unit: Unit, result: UnitResult) -> None:
        """Stores the result of a server; a failed one is not stored."""
        if result.text is None:
            return
        reading = ",".join((unit.form, *unit.syntaxes))
        self._rows.append(
            (
                self._machine_key(unit),
                unit.text,
                result.text,
                unit.context,
                reading,
                self._source,
                self._target,
                self._options,
                ",".join(result.flags),
                result.score,
                0,
                int(time.time()),
            )
        )
        if len(self._rows) >= _COMMIT_ROWS or time.monotonic() - self._saved > _COMMIT_SECONDS:
            self.save()

    def correct(self, entries: Iterable[Entry]) -> tuple[int, int]:
        """Stores translations by a person, such as those of a TMX file. One that equals what the memory has is no
        correction. Returns the numbers of corrections and of equal ones."""
        corrections = equal = 0
        with self._errors(), self._database:
            for entry in entries:
                key = _person_key(entry.source, entry.context, entry.target_language.lower())
                same = self._database.execute(
                    "SELECT EXISTS (SELECT 1 FROM entries WHERE source = ? AND target_language = ? AND context = ?"
                    " AND target = ?)",
                    (entry.source, entry.target_language.lower(), entry.context, entry.target),
                ).fetchone()[0]
                stored = self._database.execute("SELECT target FROM entries WHERE key = ?", (key,)).fetchone()
                if same and (stored is None or stored[0] == entry.target):
                    equal += 1
                    continue
                corrections += 1
                languages = (entry.source_language.lower(), entry.target_language.lower())
                self._database.execute(
                    _INSERT,
                    (key, entry.source, entry.target, entry.context, "", *languages, "", "", 0.0, 1, entry.changed),
                )
        self._has_corrections = self._has_corrections or corrections > 0
        return corrections, equal

    def entries(self, target: str | None = None) -> Iterator[Entry]:
        """Yields all translations, or those into one language. A translation by a person replaces the server's of the
        same text and context."""
        where = "" if target is None else "WHERE target_language = :target"
        with self._errors():
            rows = self._database.execute(
                f"SELECT {_COLUMNS} FROM entries {where} ORDER BY source, context, target_language, by_person DESC,"  # noqa: S608
                " changed DESC",
                {"target": (target or "").lower()},
            )
            last = None
            for source, text, context, source_language, target_language, by_person, changed in rows:
                if last == (source, context, target_language):
                    continue
                last = (source, context, target_language)
                yield Entry(source, text, context, source_language, target_language, bool(by_person), changed)

    def count_pairs(self) -> list[tuple[str, str, int, int]]:
        """Returns for each language pair its languages, the number of translations, and of those by people."""
        with self._errors():
            return list(
                self._database.execute(
                    "SELECT source_language, target_language, count(*), sum(by_person) FROM entries"
                    " GROUP BY source_language, target_language ORDER BY source_language, target_language"
                )
            )

    def save(self) -> None:
        """Writes the added records to the disk."""
        self._saved = time.monotonic()
        if self._rows:
            with self._errors(), self._database:
                self._database.executemany(_INSERT, self._rows)
            self._rows.clear()

    def close(self) -> None:
        """Saves and closes the memory."""
        try:
            self.save()
        finally:
            self._database.close()

    def _prepare(self) -> None:
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == _APPLICATION:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise BatchError(
                    f"{self._path} is of another version of latimer; export it there with latimer memory export"
                )
        elif tables:
            raise BatchError(f"{self._path} is an SQLite file, but no translation memory; choose another --memory")
        # Readers do not wait for the writer, and a power cut loses the last commit at most.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            self._database.executescript(_SCHEMA)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise OutputError(
                    self._path,
                    f"the memory cannot be written: {error}",
                    "free some space, then use --resume",
                ) from error
            raise BatchError(f"{self._path}: the memory cannot be used: {error}; check --memory") from error
        except sqlite3.DatabaseError as error:
            raise BatchError(f"{self._path} is no translation memory: {error}; choose another --memory") from error

    def _keys(self, unit: Unit) -> tuple[bytes, ...]:
        """Returns the keys of a unit, the one that wins first."""
        machine = self._machine_key(unit)
        if not self._has_corrections:
            return (machine,)
        with_context = _person_key(unit.text, unit.context, self._target)
        return (with_context, _person_key(unit.text, "", self._target), machine)

    def _machine_key(self, unit: Unit) -> bytes:
        return _digest(
            "machine", unit.text, unit.context, unit.form, *unit.syntaxes, self._source, self._target, self._options
        )

    def _choose(
        self, keys: tuple[bytes, ...], found: dict[bytes, tuple[UnitResult, str, bool]]
    ) -> tuple[UnitResult, bool] | None:
        for key in keys:
            if key in found:
                result, language, by_person = found[key]
                if not by_person or self._fits(language):
                    return result, by_person
        return None

    def _fits(self, language: str) -> bool:
        """Returns True if a translation by a person from `language` may serve the batch."""
        return not language or not self._source or language.partition("-")[0] == self._source.partition("-")[0]


def _person_key(source: str, context: str, target: str) -> bytes:
    return _digest("person", source, context, target)


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
