"""The journal: what was finished is found again after any end of the process or of the power."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.batch.journal import Journal
from latimer.batch.results import JournalError, UnitResult

JOB = {"target": "pt", "inputs": [["a.txt", "00", "text"]], "client": "1"}
DIGESTS = [bytes([number]) * 16 for number in range(7)]


def write_journal(path: Path) -> list[int]:
    """Writes a journal of several units. Returns the size of the file after each."""
    journal = Journal.create(path, JOB)
    sizes = [path.stat().st_size]
    for number, digest in enumerate(DIGESTS):
        journal.add(digest, UnitResult(f"text {number} é", ("COPIED_SOURCE",) if number % 2 else (), -0.5))
        journal.sync()
        sizes.append(path.stat().st_size)
    journal.close()
    return sizes


def test_a_finished_unit_is_found_with_all_that_was_recorded(tmp_path: Path) -> None:
    write_journal(tmp_path / "journal")
    journal = Journal.resume(tmp_path / "journal", JOB)
    assert journal.find(DIGESTS[3]) == (UnitResult("text 3 é", ("COPIED_SOURCE",), -0.5), True)
    assert journal.find(b"x" * 16) is None
    journal.close()


def test_a_unit_is_found_before_it_is_on_the_disk(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal", JOB)
    journal.add(DIGESTS[0], UnitResult("a" * 5_000))
    found = journal.find(DIGESTS[0])
    assert found == (UnitResult("a" * 5_000), False)
    journal.close()


def test_a_journal_that_ends_at_any_byte_keeps_the_whole_records(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    sizes = write_journal(whole)
    torn = tmp_path / "torn"
    content = whole.read_bytes()
    for length in range(sizes[0], len(content)):
        torn.write_bytes(content[:length])
        journal = Journal.resume(torn, JOB)
        assert len(journal) == sum(size <= length for size in sizes[1:])
        journal.add(b"new unit" * 2, UnitResult("more"))
        journal.close()
        again = Journal.resume(torn, JOB)
        assert again.find(b"new unit" * 2) == (UnitResult("more"), True)
        again.close()


def test_a_record_of_other_bytes_ends_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    sizes = write_journal(path)
    content = bytearray(path.read_bytes())
    content[sizes[5] + 12] ^= 0xFF  # in the sixth unit
    path.write_bytes(content)
    journal = Journal.resume(path, JOB)
    assert len(journal) == 5
    journal.close()


def test_a_journal_without_a_whole_header_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"\x20\x00\x00")
    journal = Journal.resume(path, JOB)
    assert not journal.is_resumed
    journal.close()


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"target": "es"}, 'target was "pt", now "es"'),
        ({"inputs": [["a.txt", "11", "text"]]}, "the input a.txt has changed"),
        ({"inputs": [["b.txt", "00", "text"]]}, "its input was a.txt"),
        ({"inputs": []}, "it had 1 inputs, not 0"),
        ({"client": "2"}, "it was written by latimer 1, this is 2"),
    ],
)
def test_a_journal_of_another_job_is_refused_with_the_difference_and_the_cure(
    tmp_path: Path, change: dict[str, object], difference: str
) -> None:
    write_journal(tmp_path / "journal")
    with pytest.raises(JournalError, match="--force") as refused:
        Journal.resume(tmp_path / "journal", {**JOB, **change})
    assert difference in str(refused.value)
    kept = Journal.resume(tmp_path / "journal", JOB)
    assert len(kept) == len(DIGESTS)
    kept.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"my own notes\n" * 100)
    with pytest.raises(JournalError, match="no journal"):
        Journal.resume(path, JOB)
    assert path.read_bytes().startswith(b"my own notes")


def test_two_batches_cannot_write_one_output(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal", JOB)
    with pytest.raises(JournalError, match="another batch"):
        Journal.create(tmp_path / "journal", JOB)
    journal.close()


def test_finished_files_are_remembered(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal", JOB)
    journal.finish_file(7)
    journal.close()
    journal = Journal.resume(tmp_path / "journal", JOB)
    assert journal.finished_files == {7}
    journal.delete()
    assert not (tmp_path / "journal").exists()


def test_only_its_owner_may_read_a_journal(tmp_path: Path) -> None:
    Journal.create(tmp_path / "journal", JOB).close()
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0
