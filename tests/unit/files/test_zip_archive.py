"""Zip archives: copies that keep bytes, and archives that are refused."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from latimer.files import FileError
from latimer.files.zipped import archive as archives
from latimer.files.zipped.archive import open_archive
from tests.unit.files.documents import write_zip


def make_archive(path: Path) -> Path:
    """Writes an archive with a stored member, comments, a folder and an extra field."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype", (2001, 2, 3, 4, 5, 6)), "text/plain", zipfile.ZIP_STORED)
        archive.writestr("folder/", "")
        info = zipfile.ZipInfo("folder/é.xml", (1999, 12, 31, 23, 59, 58))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.extra = struct.pack("<2H4s", 0x7777, 4, b"abcd")
        info.comment = b"of a member"
        archive.writestr(info, "words " * 500)
        archive.writestr("last.bin", os.urandom(1000))
        archive.comment = b"of the archive"
    return path


def copy(path: Path, changed: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with open_archive(path) as archive:
        archive.write_copy(target, changed)
    return target.getvalue()


def test_a_copy_without_changes_is_identical(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.zip")
    assert copy(path, {}) == path.read_bytes()


def test_a_streamed_archive_is_copied_identically(tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "words " * 100)
        archive.writestr("b.txt", "more")
    path = tmp_path / "a.zip"
    path.write_bytes(pipe.data)
    assert copy(path, {}) == pipe.data
    with zipfile.ZipFile(io.BytesIO(copy(path, {"a.txt": b"new"}))) as archive:
        assert archive.testzip() is None
        assert (archive.read("a.txt"), archive.read("b.txt")) == (b"new", b"more")


def test_a_change_touches_no_other_member(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.zip")
    changed = copy(path, {"folder/é.xml": b"new content"})
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(io.BytesIO(changed)) as after:
        assert after.testzip() is None
        assert after.comment == before.comment
        assert after.read("folder/é.xml") == b"new content"
        for old, new in zip(before.infolist(), after.infolist(), strict=True):
            assert (new.filename, new.date_time, new.comment, new.extra) == (
                old.filename,
                old.date_time,
                old.comment,
                old.extra,
            )
            if old.filename != "folder/é.xml":
                assert (new.CRC, new.compress_size, new.compress_type) == (
                    old.CRC,
                    old.compress_size,
                    old.compress_type,
                )


@pytest.mark.parametrize(
    ("name", "reason"), [("../a.xml", "leads out"), ("/a.xml", "leads out"), ("C:/a.xml", "leads out")]
)
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str, reason: str) -> None:
    path = write_zip(tmp_path / "a.zip", {name: "x"})
    with pytest.raises(FileError, match=reason), open_archive(path):
        pass


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.xml": bytes(40_000_000)})
    with pytest.raises(FileError, match="more than 300 times its size"), open_archive(path):
        pass


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.xml": b"words " * 10_000})
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\1\2")
    struct.pack_into("<L", data, directory + 24, 100)
    path.write_bytes(data)
    with pytest.raises(FileError, match="cannot be unpacked"), open_archive(path) as archive:
        archive.read("a.xml")


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = write_zip(tmp_path / "a.zip", {f"{number}.xml": "x" for number in range(4)})
    with pytest.raises(FileError, match="more than 3 parts"), open_archive(path):
        pass


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.xml": "x" * 99, "b.xml": os.urandom(500)})
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\1\2")
    struct.pack_into("<L", data, second + 42, 10)
    path.write_bytes(data)
    with pytest.raises(FileError, match="overlap"), open_archive(path):
        pass


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.xml": "x"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match="encrypted; save it without a password"), open_archive(path):
        pass


def test_an_office_file_with_a_password_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(FileError, match="encrypted with a password, or in the binary format"), open_archive(path):
        pass


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = make_archive(tmp_path / "a.zip").read_bytes()
    path = tmp_path / "cut.zip"
    for size in range(0, len(whole) - 20, 37):
        path.write_bytes(whole[:size])
        with pytest.raises(FileError, match="no whole zip archive"), open_archive(path):
            pass


def test_garbage_is_refused_or_read_but_never_breaks(tmp_path: Path) -> None:
    whole = make_archive(tmp_path / "a.zip").read_bytes()
    path = tmp_path / "broken.zip"
    for position in range(0, len(whole), 11):
        data = bytearray(whole)
        data[position] ^= 0xFF
        path.write_bytes(data)
        try:
            with open_archive(path) as archive:
                for name in archive.names:
                    archive.read(name)
                archive.write_copy(io.BytesIO(), {"mimetype": b"x"})
        except FileError:
            pass


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"), open_archive(tmp_path / "none.zip"):
        pass
