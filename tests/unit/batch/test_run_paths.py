"""Tests of the paths of a run: no file is written that is another file of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from latimer.batch.results import OutputError
from latimer.batch.run_paths import RunPath, check_paths, list_database_paths


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("one")
    return path


def make_name(text: Path, kind: str) -> Path:
    """Returns another name of a file."""
    name = text.with_name("b.txt")
    if kind == "symbolic link":
        name.symlink_to(text)
    elif kind == "hard link":
        os.link(text, name)
    else:
        (text.parent / "deep").mkdir()
        name = text.parent / "deep" / ".." / "a.txt"
    return name


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "two dots"])
def test_another_name_of_an_input_is_the_input(text: Path, kind: str) -> None:
    name = make_name(text, kind)
    paths = [RunPath("an input", text, is_written=False), RunPath("--report", name, is_written=True)]
    with pytest.raises(OutputError, match="an input and --report are the same file; choose another name for --report"):
        check_paths(paths)


def test_files_that_are_not_there_yet_are_compared_by_their_paths(tmp_path: Path) -> None:
    first = RunPath("an output", tmp_path / "deep" / "new.txt", is_written=True)
    with pytest.raises(OutputError, match="an output and --memory are the same file"):
        check_paths([first, *list_database_paths("--memory", tmp_path / "deep" / "." / "new.txt")])
    check_paths([first, *list_database_paths("--memory", tmp_path / "new.txt")])


def test_the_files_beside_a_database_belong_to_it(tmp_path: Path) -> None:
    paths = [
        RunPath("an output", tmp_path / "memory-wal", is_written=True),
        *list_database_paths("--memory", tmp_path / "memory"),
    ]
    with pytest.raises(OutputError, match="an output and a file of --memory are the same file"):
        check_paths(paths)


def test_files_that_are_only_read_and_devices_may_have_two_uses(text: Path) -> None:
    check_paths([RunPath("an input", text, is_written=False), RunPath("--glossary", text, is_written=False)])
    null = Path("/dev/null")
    check_paths([RunPath("an output", null, is_written=True), RunPath("--report", null, is_written=True)])
