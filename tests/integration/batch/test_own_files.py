"""Tests of the files that `latimer batch` writes: none is a file that somebody needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.clients.stub_server import StubServer
from tests.command_line import lines, run_command
from tests.integration.batch.runs import Batch

GLOSSARY = "one,um\n"


def cut_before_placing(journal: bytes) -> bytes:
    """Returns a journal as a kill before its output was in place leaves it."""
    offset = 0
    while journal[offset + 8 : offset + 9] != b"P":
        offset += 8 + int.from_bytes(journal[offset : offset + 4], "little")
    return journal[:offset]


@pytest.mark.parametrize("victim", ["a.html", "b.html", "words.csv", "memory.html"])
@pytest.mark.parametrize("link", [False, True], ids=["the same name", "a link"])
def test_a_report_is_no_other_file_of_the_batch(batch: Batch, server: StubServer, victim: str, *, link: bool) -> None:
    source = batch.write("a.html", "<p>one two</p>")
    words = batch.write("words.csv", GLOSSARY)
    report = batch.folder / victim
    if victim == "words.csv":
        report = batch.folder / "words.html"
        report.symlink_to(words)
    elif link:
        report = batch.folder / "report.html"
        report.symlink_to(batch.folder / victim)
    memory = str(batch.folder / "memory.html")
    before = server.texts
    done = batch.run(source, out="b.html", report=str(report), glossary=words, memory=memory, force=True)
    assert done.returncode == 2
    assert "are the same file; choose another name for --report" in lines(done)[0]
    assert (batch.read("a.html"), batch.read("words.csv")) == ("<p>one two</p>", GLOSSARY)
    assert not (batch.folder / "b.html").exists()
    assert server.texts == before


def test_a_report_replaces_an_earlier_one_and_another_file_with_force(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n")
    for name in ("report.json", "report.html"):
        report = batch.write(name, "mine")
        refused = batch.run(source, out="b.txt", report=report)
        assert (refused.returncode, lines(refused)) == (
            2,
            [f"latimer: --report {report}: a file that is no report exists already; --force replaces it"],
        )
        assert batch.read(name) == "mine"
        assert batch.run(source, out="b.txt", report=report, force=True).returncode == 0
        (batch.folder / "b.txt").unlink()
        assert batch.run(source, out="b.txt", report=report).returncode == 0
        (batch.folder / "b.txt").unlink()


@pytest.mark.parametrize("name", ["words.csv", "phrases.txt", "memory", "memory-journal", "memory-wal", "memory-shm"])
def test_an_output_is_neither_a_list_of_words_nor_a_file_of_the_memory(batch: Batch, name: str) -> None:
    source = batch.write("a.txt", "one two\n")
    words = batch.write("words.csv", GLOSSARY)
    phrases = batch.write("phrases.txt", "Contoso\n")
    memory = str(batch.folder / "memory")
    done = batch.run(source, out=name, glossary=words, protect=f"@{phrases}", memory=memory, force=True)
    assert done.returncode == 2
    assert "are the same file" in lines(done)[0]
    assert batch.names() == ["a.txt", "phrases.txt", "words.csv"]
    assert (batch.read("words.csv"), batch.read("phrases.txt")) == (GLOSSARY, "Contoso\n")


def test_an_export_is_not_the_memory_itself(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n")
    memory = batch.folder / "memory"
    assert batch.run(source, out="b.txt", memory=str(memory)).returncode == 0
    content = memory.read_bytes()
    os.link(memory, batch.folder / "memory.tmx")
    languages = ("--memory", str(memory), "--from", "en", "--to", "pt", "--force")
    for target in (memory, batch.folder / "memory.tmx"):
        done = run_command("memory", "export", str(target), *languages)
        assert done.returncode == 2
        assert "--memory and FILE.tmx are the same file" in lines(done)[0]
    assert memory.read_bytes() == content


def test_the_import_of_a_missing_file_makes_no_memory(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    done = run_command(
        "memory", "import", str(tmp_path / "none.tmx"), "--memory", str(memory), "--from", "en", "--to", "pt"
    )
    assert (done.returncode, memory.exists()) == (2, False)
    assert lines(done) == [f"latimer: {tmp_path / 'none.tmx'} cannot be read: No such file or directory"]


def test_a_side_file_of_another_program_stays(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n")
    other = batch.write("b.txt.failed.jsonl", '{"mine": 1}\n')
    done = batch.run(source, out="b.txt", force=True)
    assert (done.returncode, lines(done)) == (
        2,
        [
            f"latimer: {other}: the failed units go there, and it is a file of another program;"
            " move it, or choose another --out"
        ],
    )
    assert batch.names() == ["a.txt", "b.txt.failed.jsonl"]


def test_an_input_with_the_name_of_the_side_file_is_named_or_left_out_if_it_is_one(batch: Batch) -> None:
    batch.write("in/a.txt", "<fail> me\n")
    batch.write("in/latimer.failed.jsonl", '{"text": "one two"}\n')
    done = batch.run(str(batch.folder / "in"), out="pt")
    assert done.returncode == 2
    assert "an output and the list of failed units are the same file" in lines(done)[0]
    (batch.folder / "in/latimer.failed.jsonl").unlink()
    assert batch.run(str(batch.folder / "in"), out="pt").returncode == 1
    assert batch.run(str(batch.folder / "pt"), out="deep/pt").returncode == 1
    assert {name.split("/", 1)[1] for name in batch.names() if "pt/" in name} >= {"a.txt", "latimer.failed.jsonl"}


def test_a_resumed_batch_leaves_an_output_that_it_did_not_write(batch: Batch, server: StubServer) -> None:
    source = batch.write("a.txt", "one two\n<fail> me\n")
    assert batch.run(source, out="b.txt").returncode == 1
    journal = batch.read_bytes("b.txt.journal")
    other = batch.write("c.txt", "mine")
    (batch.folder / "c.txt.journal").write_bytes(cut_before_placing(journal))
    before = server.texts
    done = batch.run(source, out="c.txt", resume=True)
    assert (done.returncode, lines(done)) == (
        2,
        [f"latimer: {other}: exists already, and this batch did not write it; move it, or replace it with --force"],
    )
    assert batch.read("c.txt") == "mine"
    assert server.texts == before
    assert batch.run(source, out="b.txt", resume=True).returncode == 1


def test_a_file_with_the_name_of_the_journal_that_is_none_stays(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n")
    other = batch.write("b.txt.journal", "a diary of mine\n")
    for option in ("quiet", "force", "resume"):
        done = batch.run(source, *(f"--{option}",), out="b.txt")
        assert (done.returncode, lines(done)) == (
            2,
            [f"latimer: {other} is no journal of latimer; remove it, or choose another --out"],
        )
    assert batch.names() == ["a.txt", "b.txt.journal"]
