"""Zip archives that are read within bounds and copied record by record.

A copy has the bytes of each record of the original but for the members that changed: order, dates, attributes and
compressed data stay. Nothing is ever unpacked to a folder. The records follow PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from latimer.files.document import FileError

# Bounds of an archive. A document of office software stays far below; a zip bomb does not.
MAX_MEMBERS = 20_000
MAX_UNPACKED = 4 * 1024**3
MAX_MEMBER = 512 * 1024**2
MAX_RATIO = 300
# A member up to this size may have any ratio, since it can do no harm.
_SMALL = 16 * 1024**2

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_DATA_DESCRIPTOR = 0x8
_ZIP64 = 0x1
_END_MARK = b"PK\5\6"
# The first bytes of OLE files: the formats before 2007, and documents with a password.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Archive:
    """An open archive. `names`: the names of its members in the order of its directory."""

    path: Path
    file: BinaryIO
    zip: zipfile.ZipFile
    names: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """Returns the content of a member. Raises `FileError`."""
        if name not in self.names:
            raise FileError(self.path, f"it has no part {name}", cure="save it again with the program that made it")
        info = self.zip.getinfo(name)
        if info.file_size > MAX_MEMBER:
            raise FileError(self.path, f"it has more than {MAX_MEMBER >> 20} MiB", place=name, cure="divide it")
        try:
            # zipfile reads no more than the size that the directory names, which is checked.
            return self.zip.read(name)
        except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, zlib.error) as error:
            raise FileError(self.path, f"it cannot be unpacked ({error})", place=name, cure=_CURE) from error

    def write_copy(self, target: BinaryIO, changed: Mapping[str, bytes]) -> None:
        """Writes a copy of the archive. `changed`: the new content of members by name."""
        _Copier(self, target).copy(changed)


_CURE = "the file is damaged or not whole; get it again"


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Opens an archive and checks its directory. Raises `FileError` if it is no zip archive or is past a bound."""
    try:
        with path.open("rb") as file:
            if file.read(len(_OLE)) == _OLE:
                reason = "it is encrypted with a password, or in the binary format before 2007"
                raise FileError(path, reason, cure="save it without a password in the present format")
            with zipfile.ZipFile(file) as opened:
                _check(path, opened)
                yield Archive(path, file, opened, tuple(info.filename for info in opened.infolist()))
    except (zipfile.BadZipFile, struct.error, NotImplementedError, UnicodeError) as error:
        raise FileError(path, f"it is no whole zip archive ({error})", cure=_CURE) from error
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error


def _check(path: Path, opened: zipfile.ZipFile) -> None:
    infos = opened.infolist()
    if len(infos) > MAX_MEMBERS:
        raise FileError(path, f"it has more than {MAX_MEMBERS:,} parts", cure="divide it")
    if sum(info.file_size for info in infos) > MAX_UNPACKED:
        raise FileError(path, f"it unpacks to more than {MAX_UNPACKED >> 30} GiB", cure="divide it")
    names: set[str] = set()
    for info in infos:
        _check_member(path, info)
        if info.filename in names:
            raise FileError(path, "it has two parts of one name", cure="save it again with the program that made it")
        names.add(info.filename)
    ends = 0
    for info in sorted(infos, key=lambda each: each.header_offset):
        if info.header_offset < ends:
            raise FileError(path, "it has parts that overlap", cure=_CURE)
        ends = info.header_offset + _LOCAL.size + info.compress_size
    if ends > opened.start_dir:
        raise FileError(path, "it has a part that reaches past its end", cure=_CURE)


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise FileError(path, "it is encrypted", cure="save it without a password")
    parts = info.filename.split("/")
    if ".." in parts or info.filename.startswith("/") or ":" in parts[0]:
        raise FileError(path, "it has a part whose name leads out of the archive", cure="save it again")
    if info.file_size > _SMALL and info.file_size > MAX_RATIO * info.compress_size:
        reason = f"it has a part that unpacks to more than {MAX_RATIO} times its size"
        raise FileError(path, reason, cure="the file may be made to fill the memory; unpack it and pack it again")
    if info.file_size >= 0xFFFFFFFF or info.compress_size >= 0xFFFFFFFF or info.header_offset >= 0xFFFFFFFF:
        raise FileError(path, "it has a part of 4 GiB or more", cure="divide it")


# The new offset of a member; if it changed, its flags, method, CRC and sizes.
_Moved = tuple[int, tuple[int, int, int, int, int] | None]


class _Copier:
    """Writes the records of an archive to a file that need not be seekable."""

    def __init__(self, archive: Archive, target: BinaryIO) -> None:
        self._archive = archive
        self._file = archive.file
        self._target = target
        self._written = 0

    def copy(self, changed: Mapping[str, bytes]) -> None:
        start = self._archive.zip.start_dir
        infos = sorted(self._archive.zip.infolist(), key=lambda each: each.header_offset)
        ends = [*(info.header_offset for info in infos[1:]), start]
        moved: dict[int, _Moved] = {}
        # An archive may have a prefix, such as a program that unpacks it.
        self._copy_bytes(0, infos[0].header_offset if infos else start)
        for info, end in zip(infos, ends, strict=True):
            position = self._written
            content = changed.get(info.filename)
            if content is None:
                self._copy_bytes(info.header_offset, end)
                moved[info.header_offset] = (position, None)
            else:
                moved[info.header_offset] = (position, self._write_member(info, content))
        self._write_directory(moved)

    def _copy_bytes(self, start: int, end: int) -> None:
        self._file.seek(start)
        while start < end:
            chunk = self._file.read(min(_CHUNK, end - start))
            if not chunk:
                raise FileError(self._archive.path, "it ends early", cure=_CURE)
            self._write(chunk)
            start += len(chunk)

    def _write(self, data: bytes) -> None:
        self._target.write(data)
        self._written += len(data)

    def _write_member(self, info: zipfile.ZipInfo, content: bytes) -> tuple[int, int, int, int, int]:
        """Writes the record of a changed member. Returns its flags, method, CRC and sizes."""
        self._file.seek(info.header_offset)
        local = _LOCAL.unpack(self._file.read(_LOCAL.size))
        name = self._file.read(local[9])
        packed, method = content, 0
        if info.compress_type != zipfile.ZIP_STORED:
            compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed, method = compressor.compress(content) + compressor.flush(), zipfile.ZIP_DEFLATED
        flags = local[2] & ~_DATA_DESCRIPTOR
        crc = zlib.crc32(content)
        version = 20  # deflated data; a record of ZIP64 has 45
        header = (b"PK\3\4", version, flags, method, local[4], local[5], crc, len(packed), len(content))
        self._write(_LOCAL.pack(*header, len(name), 0))
        self._write(name + packed)
        return flags, method, crc, len(packed), len(content)

    def _write_directory(self, moved: Mapping[int, _Moved]) -> None:
        """Writes the directory and its end record. Bounds make the records of ZIP64 needless, so they are left out."""
        directory = self._written
        infos = self._archive.zip.infolist()
        self._file.seek(self._archive.zip.start_dir)
        for info in infos:
            record = list(_CENTRAL.unpack(self._file.read(_CENTRAL.size)))
            name = self._file.read(record[10])
            extra = _drop_zip64(self._file.read(record[11]))
            comment = self._file.read(record[12])
            position, new = moved[info.header_offset]
            record[8], record[9], record[11], record[16] = info.compress_size, info.file_size, len(extra), position
            if new is not None:
                record[3], record[4], record[7], record[8], record[9] = new
            self._write(_CENTRAL.pack(*record) + name + extra + comment)
        tail = self._file.read()
        found = tail.find(_END_MARK)
        end = list(_END.unpack(tail[found : found + _END.size]))
        end[1:7] = 0, 0, len(infos), len(infos), self._written - directory, directory
        self._write(_END.pack(*end) + tail[found + _END.size :])


def _drop_zip64(extra: bytes) -> bytes:
    """Returns the extra fields of a record without that of ZIP64."""
    kept, position = b"", 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, position)
        if kind != _ZIP64:
            kept += extra[position : position + 4 + size]
        position += 4 + size
    return kept + extra[position:]
