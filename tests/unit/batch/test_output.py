"""Outputs appear when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from latimer.batch.output import open_output
from latimer.batch.results import OutputError
from latimer.files import FileError
from tests.unit.batch.fakes import limit_file_size


def test_an_output_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with open_output(path) as file:
        file.write(b"text")
        assert not path.exists()
    assert path.read_bytes() == b"text"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), FileError(Path("in"), "broken")])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"earlier")

    def write_half() -> None:
        with open_output(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.txt", b"earlier")]


def test_a_full_disk_is_an_error_that_names_file_and_cure(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with (
        limit_file_size(10_000),
        pytest.raises(OutputError, match=r"a\.txt: cannot be written: File too large; choose"),
        open_output(path) as file,
    ):
        file.write(b"x" * 20_000)
    assert not list(tmp_path.iterdir())


def test_the_error_of_the_disk_is_told_although_a_format_has_an_error_of_its_own(tmp_path: Path) -> None:
    def write_as_a_format() -> None:
        with open_output(tmp_path / "a.txt") as file:
            try:
                file.write(b"x" * 1_000_000)
            except OSError as error:
                raise FileError(Path("in.txt"), str(error)) from error

    with limit_file_size(10_000), pytest.raises(OutputError, match="File too large"):
        write_as_a_format()


def test_a_folder_that_is_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(OutputError, match="choose another --out"), open_output(tmp_path / "a" / "b"):
        pass


def test_a_replaced_file_keeps_its_permissions_and_a_link_its_place(tmp_path: Path) -> None:
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_bytes(b"earlier")
    path.chmod(0o640)
    link.symlink_to(path)
    with open_output(link) as file:
        file.write(b"now")
    assert link.is_symlink()
    assert path.read_bytes() == b"now"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_and_not_replaced() -> None:
    device = Path(os.devnull)
    with open_output(device) as file:
        file.write(b"now")
    assert device.is_char_device()
