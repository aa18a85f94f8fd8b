"""The journal of a batch: an append-only file from which a stopped batch goes on.

A journal is a sequence of records. A record is its length and its CRC-32 (both 32-bit, little-endian), then the
payload, whose first byte tells its kind:

    H   the header: a JSON object with the version of the format and the job
    U   a finished unit: digest of the unit (16 bytes), score (float32), flags with commas between, a zero byte, text
    P   a file whose output takes its place next: its number in the job (32-bit)
    F   a finished file: its number in the job (32-bit)

A power cut can leave the last record torn. `Journal.resume` ends the journal before the first record that is not whole,
so its unit is translated again.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from latimer.batch.digest_index import DigestIndex
from latimer.batch.results import JournalError, OutputError, UnitResult

if sys.platform != "win32":
    import fcntl

VERSION = 1
DIGEST_SIZE = 16

_FRAME = struct.Struct("<II")
_UNIT = struct.Struct(f"<c{DIGEST_SIZE}sf")
_FILE = struct.Struct("<cI")
_LONGEST = 1 << 28  # bytes of a record; a longer length is garbage
# Records are written in groups of at most this many bytes, and reach the disk at least every few seconds.
_GROUP_BYTES = 1 << 18
_SYNC_SECONDS = 2.0
_READ_BYTES = 1_024  # more than most records have


class Journal:
    """An open journal. Not thread-safe. One process at a time may hold it.

    `finished_files`: the numbers of the files that are in place and whole. `placed_files`: those of all files whose
    outputs this batch has written, also with failed units.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._index = DigestIndex()
        self._group: list[bytes] = []
        self._group_bytes = 0
        self._written = 0  # bytes in the file
        self._synced = time.monotonic()
        self.finished_files: set[int] = set()
        self.placed_files: set[int] = set()
        self._resumed = 0  # bytes of earlier runs

    @classmethod
    def create(cls, path: Path, job: Mapping[str, Any]) -> Journal:
        """Begins a journal in place of any earlier one. Raises `JournalError` if another process holds it."""
        journal = cls(path, _open(path))
        journal._file.truncate(0)
        header = {"version": VERSION, "job": dict(job)}
        journal._append(b"H" + json.dumps(header, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))
        journal.sync()
        return journal

    @classmethod
    def resume(cls, path: Path, job: Mapping[str, Any]) -> Journal:
        """Opens the journal of a stopped batch, or begins one if there is none.

        Raises `JournalError` if it belongs to another job or version, or if another process holds it.
        """
        if not path.exists():
            return cls.create(path, job)
        journal = cls(path, _open(path))
        try:
            has_header = journal._load(job)
        except BaseException:
            journal.close()
            raise
        if not has_header:  # the process died before the header was on the disk
            journal.close()
            return cls.create(path, job)
        return journal

    @property
    def path(self) -> Path:
        """The file of the journal."""
        return self._path

    @property
    def is_resumed(self) -> bool:
        """True if it goes on with the work of an earlier run."""
        return self._resumed > 0

    @property
    def has_results(self) -> bool:
        """True if it holds a finished unit or file, so that a later run has something to go on from."""
        return bool(self._index) or bool(self.finished_files)

    def __len__(self) -> int:
        """The number of finished units."""
        return len(self._index)

    def find(self, digest: bytes) -> tuple[UnitResult, bool] | None:
        """Returns the result of a finished unit, and whether an earlier run has finished it; None if it is not
        finished."""
        offset = self._index.get(digest)
        if offset is None:
            return None
        if offset >= self._written:
            self._flush()
        payload = self._read(offset)
        _, found, score = _UNIT.unpack_from(payload)
        if found != digest:
            return None
        flags, _, text = payload[_UNIT.size :].partition(b"\0")
        names = tuple(flags.decode().split(",")) if flags else ()
        return UnitResult(text.decode("utf-8", "surrogatepass"), names, score), offset < self._resumed

    def add(self, digest: bytes, result: UnitResult) -> None:
        """Records a finished unit. A failed unit is not finished, so a resumed batch tries it again."""
        if result.text is None:
            return
        self._index[digest] = self._written + self._group_bytes
        self._append(
            _UNIT.pack(b"U", digest, result.score)
            + ",".join(result.flags).encode()
            + b"\0"
            + result.text.encode("utf-8", "surrogatepass")
        )

    def place_file(self, number: int) -> None:
        """Records that the output of a file takes its place next, so that a later run may replace it."""
        self.placed_files.add(number)
        self._append(_FILE.pack(b"P", number))
        self.sync()

    def finish_file(self, number: int) -> None:
        """Records that the output of a file is in place and whole."""
        self.finished_files.add(number)
        self._append(_FILE.pack(b"F", number))
        self.sync()

    def sync_sometimes(self) -> None:
        """Brings the records to the disk if the last time is some seconds ago."""
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Brings all records to the disk. Raises `OutputError` if the disk is full."""
        self._flush()
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _to_output_error(self._path, error) from error
        self._synced = time.monotonic()

    def close(self) -> None:
        """Writes the buffered records, as far as the disk has space, and closes the file."""
        with contextlib.suppress(OutputError):
            self._flush()
        self._index.close()
        with contextlib.suppress(OSError):
            self._file.close()

    def delete(self) -> None:
        """Closes and removes the journal of a batch that is done."""
        self._path.unlink(missing_ok=True)
        self.close()

    def _append(self, payload: bytes) -> None:
        frame = _FRAME.pack(len(payload), zlib.crc32(payload))
        self._group.append(frame)
        self._group.append(payload)
        self._group_bytes += len(frame) + len(payload)
        if self._group_bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._group:
            return
        try:
            left = memoryview(b"".join(self._group))
            while left:  # a nearly full disk takes a part without an error
                left = left[self._file.write(left) :]
        except OSError as error:
            # A part may be written, so a later record would follow a torn one.
            with contextlib.suppress(OSError):
                self._file.truncate(self._written)
            raise _to_output_error(self._path, error) from error
        self._written += self._group_bytes
        self._group.clear()
        self._group_bytes = 0

    def _read(self, offset: int) -> bytes:
        file = self._file
        file.seek(offset)
        block = file.read(_READ_BYTES)
        length, _ = _FRAME.unpack_from(block)
        while len(block) < _FRAME.size + length and (more := file.read(_FRAME.size + length - len(block))):
            block += more
        file.seek(self._written)
        return block[_FRAME.size : _FRAME.size + length]

    def _load(self, job: Mapping[str, Any]) -> bool:
        """Reads all whole records, and ends the file after them. Returns False if it has no whole header."""
        has_header = False
        mended: frozenset[int] = frozenset()
        for offset, payload in _read_records(self._path):
            kind = payload[:1]
            if not has_header:
                mended = _check_header(self._path, payload, job)
                has_header = True
            elif kind == b"U":
                self._index[_UNIT.unpack_from(payload)[1]] = offset
            elif kind == b"P":
                self.placed_files.add(_FILE.unpack(payload)[1])
            elif kind == b"F":
                self.finished_files.add(_FILE.unpack(payload)[1])
            self._written = offset + _FRAME.size + len(payload)
        self.finished_files -= mended
        if has_header:
            self._file.truncate(self._written)
            self._file.seek(self._written)
            self._resumed = self._written
        elif not _is_torn_header(self._path):
            raise JournalError(_NO_JOURNAL.format(path=self._path))
        return has_header


def require_journal(path: Path) -> None:
    """Raises `JournalError` for a file that is no journal, so that none of another program is written over."""
    first = next(_read_records(path), None)
    if not (_is_torn_header(path) if first is None else first[1].startswith(b"H")):
        raise JournalError(_NO_JOURNAL.format(path=path))


_NO_JOURNAL = "{path} is no journal of latimer; remove it, or choose another --out"


def _open(path: Path) -> BinaryIO:
    """Opens a journal for reading and writing, and locks it. Its text is readable by its owner only."""
    try:
        file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)  # noqa: PTH123, SIM115 (a mode for new files)
    except OSError as error:
        raise _to_output_error(path, error) from error
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise JournalError(
                f"another batch is writing this output, it holds {path}; wait for it, or choose another --out"
            ) from None
    return file


def _read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the offset and payload of each record, up to the first that is not whole."""
    offset = 0
    with path.open("rb") as file:
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            length, checksum = _FRAME.unpack(frame)
            if not 0 < length <= _LONGEST:
                return
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield offset, payload
            offset += len(frame) + length


def _is_torn_header(path: Path) -> bool:
    """Returns True for a file whose first record is not whole, as after a power cut: it ends too early, or holds
    zeros."""
    with path.open("rb") as file:
        frame = file.read(_FRAME.size)
        size = file.seek(0, os.SEEK_END)
    if len(frame) < _FRAME.size or not any(frame):
        return True
    length, _ = _FRAME.unpack(frame)
    return length <= _LONGEST and size < _FRAME.size + int(length)


def _check_header(path: Path, payload: bytes, job: Mapping[str, Any]) -> frozenset[int]:
    """Returns the numbers of inputs that could not be read when the batch began, and are read again.

    Raises `JournalError` if the header is not that of this job.
    """
    if payload[:1] != b"H":
        raise JournalError(_NO_JOURNAL.format(path=path))
    header = json.loads(payload[1:].decode("utf-8", "surrogatepass"))
    cure = "run the batch as before to go on, or with --force and without --resume to begin again"
    if header.get("version") != VERSION:
        raise JournalError(f"{path} was written by another version of latimer; {cure}")
    # The header went through JSON, which turns tuples to lists.
    wanted = json.loads(json.dumps(dict(job)))
    earlier = header.get("job")
    mended = _find_mended(earlier, wanted)
    for number in mended:
        earlier["inputs"][number] = wanted["inputs"][number]
    if earlier != wanted:
        raise JournalError(f"{path} belongs to another batch: {_find_difference(earlier, wanted)}; {cure}")
    return mended


def _find_mended(earlier: Any, now: Any) -> frozenset[int]:  # noqa: ANN401 (values of JSON)
    """Returns the numbers of inputs without a digest in the earlier job, because they were broken."""
    pairs = zip(earlier.get("inputs") or (), now.get("inputs") or (), strict=False)
    return frozenset(
        number for number, (old, new) in enumerate(pairs) if old[1:2] == [""] and (old[0], old[2:]) == (new[0], new[2:])
    )


def _find_difference(earlier: Any, now: Any) -> str:  # noqa: ANN401 (values of JSON)
    """Returns the first part of a job that differs, in words."""
    for name in sorted({*earlier, *now}):
        before, after = earlier.get(name), now.get(name)
        if before == after:
            continue
        if name == "inputs":
            for old, new in zip(before, after, strict=False):
                if old != new:
                    return f"the input {new[0]} has changed" if old[0] == new[0] else f"its input was {old[0]}"
            return f"it had {len(before)} inputs, not {len(after)}"
        if name == "client":
            return f"it was written by latimer {before}, this is {after}"
        return f"{name} was {_show(before)}, now {_show(after)}"
    return "its options differ"


def _show(value: Any) -> str:  # noqa: ANN401 (values of JSON)
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 40 else shown[:40] + "..."


def _to_output_error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        path,
        f"cannot write the journal: {error.strerror}",
        "finished units are kept; free some space if the disk is full, and --resume goes on",
    )
