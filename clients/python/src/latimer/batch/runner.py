"""The runner: units of files go out in groups, and results come back into the files in order.

One thread reads units, looks them up, sends them, takes results, records them and writes them; the sender's threads
only convert messages. The runner reads ahead of the results, across files, up to a bound of units and code points.
"""

from __future__ import annotations

import itertools
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Protocol

from latimer.batch.counts import Counts
from latimer.batch.journal import DIGEST_SIZE, Journal
from latimer.batch.results import Reading, SentUnit, UnitResult
from latimer.batch.sending import Sender, pack_units
from latimer.errors import LatimerError
from latimer.files import Document, FileError, Translated, Unit, keeps_codes

# Units and code points that are read ahead of what is written.
_MOST_HELD_UNITS = 16_384
_MOST_HELD_CHARACTERS = 4_000_000
_FEW_HELD_UNITS = _MOST_HELD_UNITS // 2
# Units that are read and looked up at once.
_CHUNK_UNITS = 512
_CHUNK_CHARACTERS = 262_144
_PROGRESS_SECONDS = 0.1


class Memory(Protocol):
    """A store of earlier results."""

    def find(self, units: Sequence[Unit]) -> Sequence[tuple[UnitResult, bool] | None]:
        """Returns for each unit its result and whether a person wrote it; None if it is not stored."""
        ...

    def add(self, unit: Unit, result: UnitResult) -> None:
        """Stores the result of a server."""
        ...

    def save(self) -> None:
        """Writes the added records to the disk."""
        ...


@dataclass(eq=False)
class RunningFile:
    """A file of the batch. `entries`: its units that are read and not yet written, in order. `error`: why the file
    could not be read to its end."""

    number: int
    name: str
    document: Document
    entries: deque[_Entry] = field(default_factory=deque)
    is_read: bool = False
    error: FileError | None = None
    failures: list[tuple[Unit, UnitResult]] = field(default_factory=list)


class _Entry:
    """A unit on its way. `waiting` holds the entries of equal units, which get the same result."""

    __slots__ = ("digest", "is_repeated", "result", "unit", "waiting")

    def __init__(self, unit: Unit, digest: bytes) -> None:
        self.unit = unit
        self.digest = digest
        self.result: UnitResult | None = None
        self.waiting: list[_Entry] | None = None


class Runner:
    """Translates or summarizes the units of files. `counts` tells how far it is.

    `report`: called with the counts, at most ten times a second.
    """

    def __init__(
        self,
        files: Sequence[RunningFile],
        sender: Sender,
        journal: Journal,
        *,
        memory: Memory | None = None,
        report: Callable[[Counts], None] | None = None,
    ) -> None:
        self.counts = Counts()
        self._sender = sender
        self._journal = journal
        self._memory = memory
        self._report = report
        self._unread = deque(files)
        self._units: Iterator[Unit] | None = None
        self._held_units = 0
        self._held_characters = 0
        self._tickets = itertools.count()
        self._sent: dict[int, _Entry] = {}
        self._pending: dict[bytes, _Entry] = {}  # sent entries by digest
        self._reported = 0.0
        self._output: BinaryIO | None = None

    def write(self, file: RunningFile, target: BinaryIO) -> None:
        """Writes one file with the results of its units. Files must be written in the order in which they were given.

        Raises `FileError` if the file cannot be read or written, `LatimerError` if no server can be reached, and
        `OutputError`.
        """
        self._output = target
        results = self._take_results(file)
        file.document.write(target, results)
        if file.error:
            raise file.error
        if next(results, None) is not None:
            raise FileError(Path(file.name), "the format wrote fewer units than it read", cure="please report this")

    def skip(self, file: RunningFile) -> None:
        """Drops what was read of a file whose output failed."""
        file.is_read = True
        if self._unread and self._unread[0] is file:
            self._end_file()
        while file.entries:
            self._release(file.entries.popleft())

    def keep_results(self) -> None:
        """Records the results that have come and that nothing waits for, before the batch stops."""
        while True:
            try:
                outcome = self._sender.results.get_nowait()
            except queue.Empty:
                return
            if not isinstance(outcome, LatimerError):
                self._settle_all(outcome)

    def _settle_all(self, outcome: Sequence[tuple[int, UnitResult]]) -> None:
        for ticket, result in outcome:
            if (entry := self._sent.pop(ticket, None)) is not None:
                self._settle(entry, result)

    def _take_results(self, file: RunningFile) -> Iterator[Translated]:
        entries, counts = file.entries, self.counts
        while True:
            while not entries:
                if file.is_read:
                    if file.error:
                        raise file.error
                    return
                self._fill()
            entry = entries.popleft()
            while entry.result is None:
                self._advance()
            result = _check_tags(entry.unit, entry.result)
            self._release(entry)
            counts.units += 1
            if self._held_units < _FEW_HELD_UNITS:  # keeps the servers busy while finished units are written
                self._fill()
            if result.flags or result.text is None:
                counts.note(file.name, entry.unit, result)
                if result.text is None:
                    file.failures.append((entry.unit, result))
            yield Translated(text=result.text, flags=result.flags)

    def _release(self, entry: _Entry) -> None:
        self._held_units -= 1
        self._held_characters -= len(entry.unit.text)

    def _advance(self) -> None:
        """Reads what there is room for, then waits for results."""
        self._fill()
        try:
            outcome = self._sender.results.get_nowait()
        except queue.Empty:
            self._pause()
            # The timeout keeps the clock of the progress going.
            try:
                outcome = self._sender.results.get(timeout=_PROGRESS_SECONDS)
            except queue.Empty:
                return
        if isinstance(outcome, LatimerError):
            raise outcome
        self._settle_all(outcome)

    def _pause(self) -> None:
        """Does what can wait until there is nothing else to do."""
        if self._output is not None:
            self._output.flush()
        self._journal.sync_sometimes()
        self._show_progress()

    def _show_progress(self) -> None:
        if self._report is not None and time.monotonic() - self._reported >= _PROGRESS_SECONDS:
            self._reported = time.monotonic()
            self._report(self.counts)

    def _fill(self) -> None:
        """Reads and sends units while there is room."""
        while self._unread and self._held_units < _MOST_HELD_UNITS and self._held_characters < _MOST_HELD_CHARACTERS:
            self._read_chunk(self._unread[0])
            self._journal.sync_sometimes()
            self._show_progress()

    def _read_chunk(self, file: RunningFile) -> None:
        """Reads some units of a file, and sends those whose results are not known."""
        if self._units is None:
            self._units = file.document.units()
        unknown: list[_Entry] = []
        room = _CHUNK_CHARACTERS
        is_over = True
        try:
            for count, unit in enumerate(self._units, start=1):
                self._take_unit(file, unit, unknown)
                room -= len(unit.text)
                if count == _CHUNK_UNITS or room <= 0:
                    is_over = False
                    break
        except FileError as error:
            file.error = error
        if is_over:
            self._end_file()
        if unknown:
            self._send(unknown if self._memory is None else self._remember(self._memory, unknown))

    def _end_file(self) -> None:
        self._unread.popleft().is_read = True
        self._units = None

    def _take_unit(self, file: RunningFile, unit: Unit, unknown: list[_Entry]) -> None:
        """Adds a unit to its file, and to `unknown` if neither the journal nor an equal unit has its result."""
        digest = digest_unit(unit)
        entry = _Entry(unit, digest)
        file.entries.append(entry)
        self._held_units += 1
        self._held_characters += len(unit.text)
        equal = self._pending.get(digest)
        if equal is not None:
            if equal.waiting is None:
                equal.waiting = []
            equal.waiting.append(entry)
            self.counts.repeated += 1
            return
        found = self._journal.find(digest)
        if found is None:
            self._pending[digest] = entry
            unknown.append(entry)
            return
        entry.result, is_earlier = found
        if is_earlier:
            self.counts.from_journal += 1
        else:
            self.counts.repeated += 1

    def _remember(self, memory: Memory, entries: list[_Entry]) -> list[_Entry]:
        """Takes results from the memory. Returns the entries that it does not have."""
        unknown = []
        for entry, found in zip(entries, memory.find([entry.unit for entry in entries]), strict=True):
            if found is None:
                unknown.append(entry)
                continue
            result, is_corrected = found
            self.counts.from_memory += 1
            self.counts.corrected += is_corrected
            self._finish(entry, result)
        return unknown

    def _send(self, entries: list[_Entry]) -> None:
        groups: dict[Reading, list[SentUnit]] = {}
        for entry in entries:
            unit = entry.unit
            ticket = next(self._tickets)
            self._sent[ticket] = entry
            groups.setdefault(Reading(unit.form, unit.syntaxes), []).append(SentUnit(ticket, unit.text))
        for reading, units in groups.items():
            for group in pack_units(units):
                self._sender.send(reading, group)

    def _settle(self, entry: _Entry, result: UnitResult) -> None:
        """Takes the result of a server."""
        self.counts.sent_units += 1
        self.counts.sent_words += count_words(entry.unit.text)
        if self._memory is not None and result.text is not None:
            self._memory.add(entry.unit, result)
        self._finish(entry, result)

    def _finish(self, entry: _Entry, result: UnitResult) -> None:
        """Records a result, and gives it to its unit and to the equal ones."""
        entry.result = result
        del self._pending[entry.digest]
        self._journal.add(entry.digest, result)
        for equal in entry.waiting or ():
            equal.result = result


def _check_tags(unit: Unit, result: UnitResult) -> UnitResult:
    """Adds a flag to a translation that lost short tags of its unit; the document puts them at its end."""
    if unit.form != "html" or result.text is None or keeps_codes(unit.text, result.text):
        return result
    return result._replace(flags=tuple(dict.fromkeys((*result.flags, "PLACEHOLDER_MISMATCH"))))


def count_words(text: str) -> int:
    """Returns the number of words between white space."""
    return len(text.split())


def digest_unit(unit: Unit) -> bytes:
    """Returns the digest by which units are equal: of their text, context, form and syntaxes."""
    parts = (unit.text, unit.context, unit.form, *unit.syntaxes)
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()
