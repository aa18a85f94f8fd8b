"""The runner: every unit once to the server, every result in its place."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer.batch.journal import Journal
from latimer.batch.results import Reading, UnitResult
from latimer.batch.runner import Memory, Runner, RunningFile
from latimer.errors import ConnectionFailedError
from latimer.files import Document, FileError, Unit
from tests.unit.batch.fakes import FakeSender, ListDocument, answer, unit


def run(
    tmp_path: Path, documents: Sequence[Document], sender: FakeSender, memory: Memory | None = None
) -> tuple[list[bytes], Runner]:
    """Runs a batch. Returns the outputs and the runner."""
    path = tmp_path / "journal"
    journal = Journal.resume(path, {"a": 1})
    files = [RunningFile(number, f"{number}.txt", document) for number, document in enumerate(documents)]
    runner = Runner(files, sender, journal, memory=memory)
    outputs = []
    try:
        for file in files:
            target = io.BytesIO()
            runner.write(file, target)
            outputs.append(target.getvalue())
    finally:
        journal.close()
    return outputs, runner


@given(texts=st.lists(st.lists(st.text("abc<fail>", min_size=1, max_size=8), max_size=30), max_size=5))
def test_results_come_into_the_place_of_their_units(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]]
) -> None:
    documents = [ListDocument([unit(text) for text in each]) for each in texts]
    outputs, _ = run(tmp_path_factory.mktemp("batch"), documents, FakeSender())
    for output, each in zip(outputs, texts, strict=True):
        wanted = [text if answer(text).text is None else answer(text).text for text in each]
        assert output.decode() == "".join(f"{line}\n" for line in wanted)


def test_more_units_than_are_held_at_once_come_in_order(tmp_path: Path) -> None:
    texts = [f"line {number}" for number in range(40_000)]
    outputs, runner = run(tmp_path, [ListDocument([unit(text) for text in texts])], FakeSender())
    assert outputs[0].decode().split("\n")[:-1] == [text.upper() for text in texts]
    assert runner.counts.units == 40_000


def test_equal_units_are_sent_once(tmp_path: Path) -> None:
    sender = FakeSender()
    documents = [ListDocument([unit("a"), unit("b"), unit("a")]), ListDocument([unit("b"), unit("a", "menu")])]
    outputs, runner = run(tmp_path, documents, sender)
    assert outputs == [b"A\nB\nA\n", b"B\nA\n"]
    assert sorted(sender.sent) == ["a", "a", "b"]  # a context makes another unit
    assert runner.counts.repeated == 2


def test_units_go_out_by_the_way_the_server_reads_them(tmp_path: Path) -> None:
    sender = FakeSender()
    units = [unit("a"), Unit(text="<b>c</b>", place="p", form="html"), Unit(text="%d", place="p", syntaxes=("printf",))]
    outputs, _ = run(tmp_path, [ListDocument(units)], sender)
    assert outputs == [b"A\n<B>C</B>\n%D\n"]
    assert sender.readings == [Reading("plain"), Reading("html"), Reading("plain", ("printf",))]


def test_a_failed_unit_keeps_its_source_and_is_counted_with_its_reason(tmp_path: Path) -> None:
    outputs, runner = run(tmp_path, [ListDocument([unit("good"), unit("<fail>")])], FakeSender())
    assert outputs == [b"GOOD\n<fail>\n"]
    assert runner.counts.failed == 1
    assert runner.counts.errors[0].error == "this text fails"


def test_the_worst_examples_of_a_flag_are_kept(tmp_path: Path) -> None:
    units = [unit("<copy>" + "x" * number) for number in range(50)]
    _, runner = run(tmp_path, [ListDocument(units)], FakeSender())
    assert runner.counts.flags == {"COPIED_SOURCE": 50}
    lengths = [len(example.source) for example in runner.counts.examples("COPIED_SOURCE")]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == 6 + 49


@pytest.mark.parametrize("most", [0, 1, 7, 600])
def test_a_second_run_sends_only_what_the_first_did_not_finish(tmp_path: Path, most: int) -> None:
    documents = [ListDocument([unit(f"line {number}") for number in range(2_000)])]
    first = FakeSender(most)
    with pytest.raises(ConnectionFailedError):
        run(tmp_path, documents, first)
    second = FakeSender()
    outputs, runner = run(tmp_path, documents, second)
    assert outputs[0] == "".join(f"LINE {number}\n" for number in range(2_000)).encode()
    assert not set(first.sent) & set(second.sent)
    assert runner.counts.from_journal == len(first.sent) == most


def test_a_failed_unit_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    documents = [ListDocument([unit("good"), unit("<fail>")])]
    run(tmp_path, documents, FakeSender())
    again = FakeSender()
    run(tmp_path, documents, again)
    assert again.sent == ["<fail>"]


class _BrokenDocument(ListDocument):
    def units(self) -> Iterator[Unit]:
        yield unit("first")
        raise FileError(Path("x.srt"), "is broken", place="line 9")


def test_a_file_that_breaks_while_it_is_read_does_not_stop_the_next(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal", {})
    files = [RunningFile(0, "x.srt", _BrokenDocument([unit("first")])), RunningFile(1, "b", ListDocument([unit("b")]))]
    runner = Runner(files, FakeSender(), journal)
    with pytest.raises(FileError, match="line 9"):
        runner.write(files[0], io.BytesIO())
    runner.skip(files[0])
    target = io.BytesIO()
    runner.write(files[1], target)
    assert target.getvalue() == b"B\n"
    journal.close()


class _FakeMemory:
    def __init__(self) -> None:
        self.stored = {"known": UnitResult("REMEMBERED")}

    def find(self, units: Sequence[Unit]) -> list[tuple[UnitResult, bool] | None]:
        return [(self.stored[each.text], True) if each.text in self.stored else None for each in units]

    def add(self, unit: Unit, result: UnitResult) -> None:
        self.stored[unit.text] = result

    def save(self) -> None:
        """Has nothing to save."""


def test_the_memory_answers_before_the_server_and_learns_from_it(tmp_path: Path) -> None:
    sender, memory = FakeSender(), _FakeMemory()
    outputs, runner = run(tmp_path, [ListDocument([unit("known"), unit("new"), unit("<fail>")])], sender, memory)
    assert outputs == [b"REMEMBERED\nNEW\n<fail>\n"]
    assert sender.sent == ["new", "<fail>"]
    assert set(memory.stored) == {"known", "new"}
    assert (runner.counts.from_memory, runner.counts.corrected) == (1, 1)


def test_a_translation_without_the_short_tags_of_its_unit_has_a_warning(tmp_path: Path) -> None:
    units = [Unit(text=text, place="p", form="html") for text in ("one <g1>word</g1>", "none", "5<x1/>")]
    _, runner = run(tmp_path, [ListDocument(units)], FakeSender())
    assert runner.counts.flags == {"PLACEHOLDER_MISMATCH": 2}
