"""`latimer batch` as its users run it, against a server without models."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.clients.stub_server import StubServer
from tests.command_line import lines, run_command
from tests.integration.batch.runs import Batch
from tests.unit.batch.fakes import limit_file_size


def test_a_folder_is_translated_file_by_file(batch: Batch) -> None:
    batch.write("in/a.txt", "one two\n\nthree four\n")
    batch.write("in/deep/b.txt", "five six")
    batch.write("in/empty.txt", "")
    batch.write("in/picture.png", b"\x89PNG\r\n\x1a\n\0\0\0")
    batch.write("in/.hidden.txt", "hidden")
    batch.write("in/manual.pdf", b"%PDF-1.7\n")
    done = batch.run(str(batch.folder / "in"), out="pt")
    assert done.returncode == 0, done.stderr
    assert batch.read("pt/a.txt") == "two one\n\nfour three\n"
    assert batch.read("pt/deep/b.txt") == "six five"
    assert batch.read("pt/empty.txt") == ""
    assert sorted(path.name for path in (batch.folder / "pt").rglob("*") if path.is_file()) == [
        "a.txt",
        "b.txt",
        "empty.txt",
    ]
    assert lines(done)[0] == (
        "latimer: left out, because they are no files, or their format is not known or cannot be written:"
        f" {batch.folder / 'in/manual.pdf'}, {batch.folder / 'in/picture.png'}"
    )
    assert lines(done)[1].startswith("latimer: 3 files, 3 units; 6 words in ")


def test_an_output_that_lies_below_the_input_folder_is_no_input(batch: Batch) -> None:
    batch.write("in/a.txt", "one two\n")
    for _ in range(2):
        assert batch.run(str(batch.folder / "in"), out="in/pt", force=True).returncode == 0
    assert batch.names() == ["in/a.txt", "in/pt/a.txt"]


def test_patterns_and_pipes_are_inputs(batch: Batch) -> None:
    batch.write("a1.txt", "one two\n")
    batch.write("a2.txt", "three four\n")
    done = batch.run(str(batch.folder / "a*.txt"), out="-", quiet=True)
    assert (done.stdout, done.stderr) == (b"two one\nfour three\n", b"")
    assert batch.run("-", out="-", stdin=b"five six\n").stdout == b"six five\n"


def test_an_output_that_exists_is_replaced_only_with_force(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n")
    batch.write("b.txt", "mine")
    refused = batch.run(source, out="b.txt")
    assert (refused.returncode, lines(refused)) == (
        2,
        [f"latimer: {batch.folder / 'b.txt'}: exists already; --force replaces it"],
    )
    assert batch.read("b.txt") == "mine"
    assert batch.run(source, out="b.txt", force=True).returncode == 0
    assert batch.read("b.txt") == "two one\n"


def test_failed_units_keep_their_source_and_stand_in_a_side_file_with_their_reason(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n<fail> me\n")
    done = batch.run(source, out="b.txt")
    assert done.returncode == 1
    assert batch.read("b.txt") == "two one\n<fail> me\n"
    assert json.loads(batch.read("b.txt.failed.jsonl")) == {
        "file": source,
        "place": "line 2",
        "source": "<fail> me",
        "reason": "this text fails",
    }
    assert lines(done)[-1].endswith("b.txt.failed.jsonl; --resume tries again")
    assert batch.run(source, out="b.txt", resume=True).returncode == 1
    assert batch.names() == ["a.txt", "b.txt", "b.txt.failed.jsonl", "b.txt.journal"]


def test_warnings_are_counted_by_flag_and_strict_makes_them_exit_1(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n<copy> this\n<copy> that\n")
    done = batch.run(source, out="b.txt")
    assert done.returncode == 0
    assert any(line.split()[:2] == ["COPIED_SOURCE", "2"] for line in lines(done))
    assert "CACHED" not in done.stderr.decode()  # a note
    quiet = batch.run(source, out="c.txt", quiet=True, strict=True)
    assert (quiet.returncode, quiet.stderr) == (1, b"")


def test_a_report_shows_the_worst_examples_side_by_side(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n<copy> & <b>this</b>\n<fail>\n")
    report = batch.folder / "report.json"
    batch.run(source, out="b.txt", report=str(report))
    found = json.loads(report.read_text())
    assert (found["units"], found["words"], found["flagged"], found["failed"]) == (3, 6, 1, 1)
    (flag,) = found["flags"]
    assert flag["flag"] == "COPIED_SOURCE"
    (example,) = flag["examples"]
    assert (example["source"], example["target"]) == ("<copy> & <b>this</b>", "<b>this</b> & <copy>")
    batch.run(source, out="c.txt", report=str(report.with_suffix(".html")))
    page = report.with_suffix(".html").read_text()
    assert "&lt;copy&gt; &amp; &lt;b&gt;this&lt;/b&gt;" in page
    assert "<b>this" not in page
    assert "http" not in page.replace("http-equiv", "")  # one page that needs nothing else
    assert batch.run(source, out="d.txt", report="report.pdf").returncode == 2


def test_a_dry_run_counts_and_writes_nothing(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\none two\nthree\n")
    done = batch.run(source, out="b.txt", dry_run=True)
    counted = dict(line.split(maxsplit=1) for line in done.stdout.decode().splitlines())
    assert counted["units"] == "3"
    assert counted["repeated"] == "1 units"
    assert batch.names() == ["a.txt"]


def test_the_memory_answers_what_did_not_change(batch: Batch, server: StubServer) -> None:
    memory = str(batch.folder / "memory.sqlite")
    source = batch.write("a.txt", "".join(f"line {number}\n" for number in range(100)))
    assert batch.run(source, out="b.txt", memory=memory).returncode == 0
    batch.write("a.txt", "".join(f"line {number}\n" for number in range(101)))
    before = server.texts
    done = batch.run(source, out="b.txt", memory=memory, force=True)
    assert server.texts - before == 1
    assert lines(done)[0].startswith("latimer: 101 units, 100 from the memory; 2 words in ")


def test_a_broken_file_does_not_stop_the_others(batch: Batch) -> None:
    batch.write("in/a.json", '{"a": ')
    batch.write("in/b.txt", "one two\n")
    done = batch.run(str(batch.folder / "in"), out="pt")
    assert done.returncode == 1
    assert lines(done)[0].startswith(f"latimer: {batch.folder / 'in/a.json'}, line 1")
    assert batch.read("pt/b.txt") == "two one\n"
    batch.write("in/a.json", '{"a": "three four"}')
    done = batch.run(str(batch.folder / "in"), out="pt", resume=True)
    assert (done.returncode, batch.read("pt/a.json")) == (0, '{"a": "four three"}')


def test_pipes_and_links_that_lead_nowhere_are_left_out_by_name(batch: Batch) -> None:
    batch.write("in/a.txt", "one two\n")
    os.mkfifo(batch.folder / "in/pipe.txt")
    (batch.folder / "in/link.txt").symlink_to("nowhere")
    done = batch.run(str(batch.folder / "in"), out="pt")
    assert done.returncode == 0
    assert lines(done)[0].startswith("latimer: left out, because they are no files")
    assert lines(done)[0].endswith(f"{batch.folder / 'in/link.txt'}, {batch.folder / 'in/pipe.txt'}")


def test_an_address_of_another_form_is_wrong_usage(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n")
    assert batch.run(source, out="b.txt", address="localhost:x").returncode == 2


def test_a_report_that_cannot_be_written_and_a_bad_glossary_are_wrong_usage(batch: Batch, server: StubServer) -> None:
    source = batch.write("a.txt", "one two\n")
    batch.write("file", "")
    glossary = batch.write("terms.csv", "")
    before = server.texts
    assert batch.run(source, out="b.txt", report=str(batch.folder / "file/r.json")).returncode == 2
    assert batch.run(source, out="b.txt", glossary=glossary).returncode == 2
    assert server.texts == before


def test_a_folder_that_cannot_be_made_is_named_before_any_text_is_sent(batch: Batch, server: StubServer) -> None:
    source = batch.write("a.txt", "one two\n")
    batch.write("file", "")
    before = server.texts
    done = batch.run(source, out="file/b.txt")
    assert server.texts == before
    assert (done.returncode, lines(done)) == (
        2,
        [f"latimer: {batch.folder / 'file'}: is no folder; choose another --out"],
    )


def test_a_folder_that_may_not_be_written_is_named_with_status_2(
    batch: Batch, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = batch.write("a.txt", "one two\n")
    before = server.texts
    # The tests may run as a user who may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == batch.folder and mode & os.W_OK))
    done = batch.run(source, out="new/b.txt")
    assert server.texts == before
    assert (done.returncode, lines(done)) == (
        2,
        [f"latimer: {batch.folder}: cannot be written; choose a folder that you may write with --out"],
    )


def test_files_on_standard_output_are_not_glued_together(batch: Batch) -> None:
    batch.write("a1.txt", "one two")
    batch.write("a2.txt", "")
    batch.write("a3.txt", "three four\n")
    batch.write("a4.txt", "five six")
    assert batch.run(str(batch.folder / "a*.txt"), out="-").stdout == b"two one\nfour three\nsix five"


def test_a_file_in_which_no_text_is_found_is_named(batch: Batch) -> None:
    source = batch.write("a.jsonl", '{"title": "one two"}\n')
    done = batch.run(source, out="b.jsonl", path="body")
    assert (done.returncode, lines(done)[0]) == (
        2,
        f"latimer: {source}: there is no text at the path 'body'; it has texts at title",
    )
    assert batch.names() == ["a.jsonl"]  # nothing was done, so there is nothing to resume
    empty = batch.write("empty.jsonl", '{"title": 1}\n')
    assert lines(batch.run(empty, out="d.jsonl"))[0] == (
        f"latimer: {empty}: no text was found; are --format, --path and --column right?"
    )
    assert batch.run(source, out="c.jsonl", path="title").returncode == 0
    assert json.loads(batch.read("c.jsonl")) == {"title": "two one"}


def test_the_first_row_of_a_table_is_text_if_there_is_no_header(batch: Batch) -> None:
    source = batch.write("a.csv", "one two,7\nthree four,8\n")
    assert batch.run(source, out="b.csv").returncode == 0
    assert batch.read("b.csv") == "one two,7\nfour three,8\n"
    assert batch.run(source, out="c.csv", no_header=True).returncode == 0
    assert batch.read("c.csv") == "two one,7\nfour three,8\n"


def test_a_full_disk_stops_the_batch_which_goes_on_when_there_is_space(batch: Batch) -> None:
    source = batch.write("a.txt", "".join(f"line {number}\n" for number in range(3_000)))
    with limit_file_size(20_000):
        done = batch.run(source, out="b.txt")
    assert done.returncode == 3
    assert "File too large" in lines(done)[0]
    assert "b.txt" not in batch.names()
    assert batch.run(source, out="b.txt", resume=True).returncode == 0
    assert batch.read("b.txt") == "".join(f"{number} line\n" for number in range(3_000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt", "--out", "b.txt"], "missing.txt cannot be read: No such file or directory"),
        (["*.nothing", "--out", "b.txt"], "no file matches *.nothing"),
        (["a.txt", "--out", "a.txt"], "a.txt: is an input as well; choose another --out"),
        (["a.txt", "in/a.txt", "--out", "pt"], "pt/a.txt: would be the output of a.txt and of in/a.txt"),
        (["a.txt", "in/a.txt", "--out", "c.txt"], "c.txt: is a file, and there are several inputs"),
        (["a.bin", "--out", "b"], "a.bin: the format of this file is not known"),
        (["a.pdf", "--out", "b"], "a.pdf: pdf files can be summarized, not translated"),
        (["a.txt", "--out", "-", "--resume"], "--resume needs an output file"),
        (["a.txt", "--out", "b.txt", "--format", "word"], "there is no format 'word'"),
        (["a.txt", "--out", "b.txt", "--glossary", "none.csv"], "none.csv: cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    for name in ("a.txt", "in/a.txt", "c.txt", "a.bin", "a.pdf"):
        batch.write(name, "one two\n")
    monkeypatch.chdir(batch.folder)
    before = batch.names()
    done = run_command("batch", "translate", *arguments, "--to", "pt", "--address", "127.0.0.1:1")
    assert done.returncode == 2
    (line,) = lines(done)
    assert message in line
    assert batch.names() == before


def test_without_a_target_language_the_batch_is_refused(batch: Batch) -> None:
    done = run_command("batch", "translate", batch.write("a.txt", "a\n"), "--out", str(batch.folder / "b.txt"))
    assert (done.returncode, lines(done)) == (
        2,
        ["latimer: no target language; give one with --to, such as --to pt"],
    )


def test_each_file_has_a_summary(batch: Batch) -> None:
    batch.write("in/a.txt", "The first line.\nThe second line.\n")
    batch.write("in/b.txt", "")
    done = batch.run(str(batch.folder / "in"), out="out", task="summarize")
    assert done.returncode == 0, done.stderr
    assert batch.read("out/a.txt.summary.txt") == "The first line.\n"
    assert batch.read("out/b.txt.summary.txt") == ""


def test_each_unit_can_have_a_summary_in_its_place(batch: Batch) -> None:
    source = batch.write("a.txt", "The first line.\nThe second line.\n")
    assert batch.run(source, out="b.txt", task="summarize", each_unit=True).returncode == 0
    assert batch.read("b.txt") == "The first line.\nThe second line.\n"


def test_a_text_that_no_message_can_contain_fails_by_itself(batch: Batch) -> None:
    source = batch.write("a.json", '{"good": "one two", "long": "' + "x " * 500_001 + '"}')
    done = batch.run(source, out="b.json")
    assert done.returncode == 1
    assert json.loads(batch.read("b.json"))["good"] == "two one"
    assert json.loads(batch.read("b.json.failed.jsonl"))["reason"] == (
        "the text has 1,000,002 characters, and the server takes at most 1,000,000"
    )


def test_servers_share_a_batch_and_one_that_is_down_is_named(batch: Batch, server: StubServer) -> None:
    source = batch.write("a.txt", "".join(f"line {number}\n" for number in range(20_000)))
    with StubServer() as other:
        before = server.texts
        addresses = f"{server.address},{other.address}"
        done = run_command(
            "batch", "translate", source, "--to", "pt", "--from", "en", "--out", "-", "--server", addresses
        )
        assert done.returncode == 0
        assert min(server.texts - before, other.texts) > 0
    done = run_command("batch", "translate", source, "--to", "pt", "--from", "en", "--out", "-", "--server", addresses)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 20_000)


def test_an_office_file_does_not_go_into_the_middle_of_other_texts(batch: Batch) -> None:
    sources = batch.write("a.docx", b"PK\3\4"), batch.write("a.txt", "one two\n")
    done = batch.run(*sources, out="-")
    assert (done.returncode, "cannot go to this output" in lines(done)[-1]) == (2, True)


def test_a_device_is_an_output_without_a_journal(batch: Batch) -> None:
    source = batch.write("a.txt", "one two\n")
    assert batch.run(source, out=os.devnull).returncode == 0
    assert Path(os.devnull).is_char_device()
    assert batch.names() == ["a.txt"]
