"""Tests of files that other programs change while a batch runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from latimer.batch.inputs import Spool, find_inputs, plan_outputs
from latimer.batch.job import BatchOutcome, Job, run_job, survey
from latimer.batch.results import OutputError, Reading, SentUnit
from latimer.files import ReadOptions
from tests.unit.batch.fakes import FakeSender

TABLE = '{"first": "one two", "second": "three four"}\n'


class ChangingSender(FakeSender):
    """Changes something when the first texts are sent."""

    def __init__(self, change: Callable[[], object]) -> None:
        super().__init__()
        self._change: Callable[[], object] | None = change

    def send(self, reading: Reading, units: Sequence[SentUnit]) -> None:
        if self._change is not None:
            self._change()
            self._change = None
        super().send(reading, units)


def run(
    folder: Path,
    change: Callable[[], object],
    *,
    overwrites: bool = False,
    is_resumed: bool = False,
    name: str = "a.json",
    content: str = TABLE,
) -> BatchOutcome:
    """Translates a file with `content` and b.txt, and makes a change meanwhile."""
    (folder / name).write_text(content)
    (folder / "b.txt").write_text("five six\n")
    names = [str(folder / each) for each in (name, "b.txt")]
    with Spool() as spool:
        files = find_inputs(names, None, str(folder / "out"), spool).files
        job = Job(
            task="translate",
            files=files,
            outputs=plan_outputs(files, names, str(folder / "out")),
            read=ReadOptions(target_language="pt"),
            client="1",
            overwrites=overwrites,
            is_resumed=is_resumed,
        )
        return run_job(job, survey(job), ChangingSender(change))


@pytest.mark.parametrize(
    "content",
    [
        '{"second": "one two", "first": "three four"}\n',
        '{"first": "one two"}\n',
        '{"new": "nine", "first": "one two", "second": "three four"}\n',
        "{",
        None,
    ],
    ids=["other keys", "fewer units", "more units", "broken", "gone"],
)
def test_an_input_that_changes_fails_by_itself_without_an_output(tmp_path: Path, content: str | None) -> None:
    table = tmp_path / "a.json"
    outcome = run(tmp_path, lambda: table.unlink() if content is None else table.write_text(content))
    reason = "cannot be read: No such file or directory" if content is None else "was changed while the batch ran"
    assert [reason in file.error for file in outcome.files] == [True, False]
    assert not outcome.is_good
    assert not (tmp_path / "out" / "a.json").exists()
    assert (tmp_path / "out" / "b.txt").read_text() == "FIVE SIX\n"


@pytest.mark.parametrize(
    ("name", "content", "longer"),
    [
        ("a.txt", "one two\n", "one two\nthree four\n"),
        ("a.csv", "text\none two\n", "text\none two\nthree four\n"),
    ],
)
def test_an_input_of_any_format_that_gains_units_fails_by_itself(
    tmp_path: Path, name: str, content: str, longer: str
) -> None:
    table = tmp_path / name
    outcome = run(tmp_path, lambda: table.write_text(longer), name=name, content=content)
    assert ["was changed while the batch ran" in file.error for file in outcome.files] == [True, False]
    assert not (tmp_path / "out" / name).exists()
    assert (tmp_path / "out" / "b.txt").read_text() == "FIVE SIX\n"


def test_an_input_that_is_only_touched_is_translated(tmp_path: Path) -> None:
    outcome = run(tmp_path, (tmp_path / "a.json").touch)
    assert outcome.is_good
    assert (tmp_path / "out" / "a.json").read_text() == '{"first": "ONE TWO", "second": "THREE FOUR"}\n'


def test_an_output_that_another_program_makes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "out" / "a.json"

    def make() -> None:
        other.parent.mkdir(exist_ok=True)
        other.write_text("mine")

    with pytest.raises(OutputError, match="was made by another program while the batch ran"):
        run(tmp_path, make)
    assert other.read_text() == "mine"
    with pytest.raises(OutputError, match="exists already, and this batch did not write it"):
        run(tmp_path, make, is_resumed=True)
    assert other.read_text() == "mine"
    assert run(tmp_path, make, overwrites=True).is_good


def test_a_resumed_batch_goes_on_when_the_other_programs_output_is_moved(tmp_path: Path) -> None:
    other = tmp_path / "out" / "a.json"

    def make() -> None:
        other.parent.mkdir(exist_ok=True)
        other.write_text("mine")

    with pytest.raises(OutputError):
        run(tmp_path, make)
    other.unlink()
    assert run(tmp_path, lambda: None, is_resumed=True).is_good


def test_a_resumed_batch_replaces_its_own_output_that_has_failed_units(tmp_path: Path) -> None:
    name, content = "a.txt", "one two\n<fail> me\n"
    assert not run(tmp_path, lambda: None, name=name, content=content).is_good
    output = tmp_path / "out" / name
    assert output.read_text() == "ONE TWO\n<fail> me\n"
    output.write_text("ONE TWO\n")
    assert not run(tmp_path, lambda: None, name=name, content=content, is_resumed=True).is_good
    assert output.read_text() == "ONE TWO\n<fail> me\n"
