"""Reloads: files are read again when they change, and a file that cannot be used changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from latimer_server.core.errors import LatimerError
from latimer_server.rpc.reloading import ReloadedPart, Reloads


class Value:
    """The number in a file. A file without a number cannot be used."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self.path = path
        self.reloads = Reloads()
        self.results: list[tuple[str, bool]] = []
        self.reloads.subscribe(lambda part, succeeded: self.results.append((part, succeeded)))

    def load(self) -> None:
        try:
            self.number = int(self.path.read_text())
        except ValueError:
            raise LatimerError(f"{self.path}: is no number") from None


@pytest.fixture
def value(tmp_path: Path) -> Value:
    made = Value(tmp_path / "number")
    made.path.write_text("1")
    made.reloads.add(ReloadedPart("number", [made.path], made.load))
    return made


def test_a_file_is_read_again_only_when_it_changes(value: Value) -> None:
    value.reloads.poll()
    assert (value.number, value.results) == (1, [])
    value.path.write_text("22")
    value.reloads.poll()
    value.reloads.poll()
    assert (value.number, value.results) == (22, [("number", True)])


def test_a_file_that_is_replaced_by_one_of_the_same_size_is_read_again(value: Value) -> None:
    other = value.path.with_name("other")
    other.write_text("2")
    other.replace(value.path)
    value.reloads.poll()
    assert value.number == 2


def test_a_file_that_keeps_its_size_and_time_of_modification_is_read_again(value: Value) -> None:
    before = value.path.stat()
    while value.path.stat().st_ctime_ns == before.st_ctime_ns:  # a clock of files may tick in milliseconds
        value.path.write_text("2")
    os.utime(value.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    value.reloads.poll()
    assert value.number == 2


def test_a_file_that_cannot_be_used_changes_nothing_and_is_reported_once(
    value: Value, caplog: pytest.LogCaptureFixture
) -> None:
    value.path.write_text("none")
    value.reloads.poll()
    value.reloads.poll()
    value.path.unlink()
    value.reloads.poll()
    value.reloads.poll()
    assert value.number == 1
    assert value.results == [("number", False)] * 2
    assert [record.message for record in caplog.records] == ["reload failed; the old ones stay in use"] * 2
    value.path.write_text("3")
    value.reloads.poll()
    assert value.number == 3


@pytest.mark.parametrize("error", [RecursionError("sesame"), ValueError("sesame")])
def test_an_error_that_nobody_foresaw_is_reported_without_its_text(
    value: Value, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def load() -> None:
        if fails:
            raise error

    fails = False
    value.reloads.add(ReloadedPart("fragile", [value.path], load))
    fails = True
    value.reloads.reload()
    assert value.results == [("number", True), ("fragile", False)]
    (line,) = (record for record in caplog.records if record.message.startswith("reload failed"))
    assert vars(line)["cause"] == f"{value.path}: cannot be read: {type(error).__name__}"
    assert "sesame" not in caplog.text


def test_a_reload_on_demand_reads_every_file(value: Value) -> None:
    value.reloads.reload()
    assert value.results == [("number", True)]


def test_a_part_without_files_is_read_on_demand_only() -> None:
    reloads, results = Reloads(), list[tuple[str, bool]]()
    reloads.subscribe(lambda part, succeeded: results.append((part, succeeded)))
    reloads.add(ReloadedPart("settings", (), lambda: None))
    assert not reloads.has_files
    reloads.poll()
    assert results == []
    reloads.reload()
    assert results == [("settings", True)]


def test_a_file_that_cannot_be_used_at_first_is_an_error(tmp_path: Path) -> None:
    value = Value(tmp_path / "number")
    value.path.write_text("none")
    with pytest.raises(LatimerError, match="is no number"):
        value.reloads.add(ReloadedPart("number", [value.path], value.load))
    assert value.reloads.parts == ()
