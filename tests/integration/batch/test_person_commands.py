"""`latimer translate`, `summarize` and `detect` as a person types them, against a server without models."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.clients.stub_server import StubServer
from latimer.cli.application import app
from latimer.cli.manual import build_pages
from tests.command_line import lines, run_command

_CLIENT = Path(__file__).parents[3] / "clients" / "python"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: StubServer) -> Path:
    """The file of settings, which names the server. Returns its path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("LATIMER_ADDRESS", "LATIMER_TOKEN", "LATIMER_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config" / "latimer" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'address = "{server.address}"\nfrom = "en"\n[profiles.down]\naddress = "127.0.0.1:1"\nto = "pt"\n')
    return path


def test_words_are_a_text_and_names_of_files_are_files() -> None:
    assert run_command("translate", "one two", "--to", "pt").stdout == b"two one\n"
    assert run_command("translate", "one", "two", "three", "--to", "pt").stdout == b"three two one\n"
    Path("a.txt").write_text("four five\n")
    assert run_command("translate", "a.txt", "--to", "pt").stdout == b"five four\n"
    mistyped = run_command("translate", "b.txt", "--to", "pt")
    assert (mistyped.returncode, mistyped.stdout) == (2, b"")
    assert lines(mistyped)[0].startswith("latimer: there is no file b.txt")


def test_standard_input_is_translated_line_by_line_with_its_line_ends() -> None:
    done = run_command("translate", "--to", "pt", stdin=b"one two\r\n\r\nthree four")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"two one\r\n\r\nfour three", b"")
    assert run_command("translate", "--to", "pt").stdout == b""


def test_several_files_go_into_a_folder_and_one_into_a_file() -> None:
    Path("a.txt").write_text("one two\n")
    Path("b.txt").write_text("three four\n")
    assert run_command("translate", "a.txt", "b.txt", "--to", "pt", "-o", "pt").returncode == 0
    assert (Path("pt/a.txt").read_text(), Path("pt/b.txt").read_text()) == ("two one\n", "four three\n")
    assert run_command("translate", "a.txt", "--to", "pt", "-o", "c.txt").returncode == 0
    refused = run_command("translate", "a.txt", "--to", "pt", "-o", "c.txt")
    assert (refused.returncode, lines(refused)) == (2, ["latimer: c.txt: exists already; --force replaces it"])
    assert run_command("translate", "one two", "--to", "pt", "-o", "c.txt").returncode == 2
    assert run_command("translate", "one two", "--to", "pt", "-o", "c.txt", "--force").returncode == 0


def test_warnings_are_on_standard_error_with_their_meaning_and_notes_are_not() -> None:
    command = ("translate", "--to", "pt")
    text = b"good\n<copy> a\n<copy> b\n"
    done = run_command(*command, stdin=text)
    assert (done.returncode, lines(done)) == (
        0,
        ["latimer: warning: COPIED_SOURCE (2 times, worst in line 2): the output is identical to the source"],
    )
    assert run_command(*command, "--strict", stdin=text).returncode == 1
    quiet = run_command(*command, "--strict", "--quiet", stdin=text)
    assert (quiet.returncode, quiet.stderr) == (1, b"")
    alone = run_command("translate", "<copy> a", "--to", "pt", "--strict")
    assert alone.returncode == 1
    assert lines(alone) == ["latimer: warning: COPIED_SOURCE: the output is identical to the source"]


def test_a_failed_line_is_named_with_its_reason() -> None:
    done = run_command("translate", "--to", "pt", stdin=b"one two\n<fail>\n")
    assert (done.returncode, done.stdout) == (1, b"two one\n<fail>\n")
    assert lines(done) == [
        "latimer: standard input, line 2: this text fails",
        "latimer: 1 unit failed; the source stands in its place",
    ]


def test_lines_of_json_have_all_fields() -> None:
    done = run_command("translate", "--to", "pt", "--json", stdin=b"one two\n<copy> a\n")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {"file": "standard input", "place": "line 1", "source": "one two", "text": "two one", "flags": []}
    assert second["flags"] == ["COPIED_SOURCE"]
    (only,) = map(json.loads, run_command("translate", "one two", "--to", "pt", "--json").stdout.splitlines())
    assert (only["text"], only["target_language"], only["score"]) == ("two one", "pt", -0.5)
    (found,) = map(json.loads, run_command("detect", "one two", "--json").stdout.splitlines())
    assert found["language"] == "en"
    (summary,) = map(json.loads, run_command("summarize", "--json", stdin=b"First.\nSecond.").stdout.splitlines())
    assert (summary["text"], summary["mode"]) == ("First.", "EXTRACTIVE")


def test_a_stream_answers_each_line_before_the_next_comes(server: StubServer) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "latimer", "translate", "--stream", "--to", "pt"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(3):
        process.stdin.write(f"line {number}\n".encode())
        process.stdin.flush()
        assert process.stdout.readline() == f"{number} line\n".encode()
    process.stdin.close()
    assert process.wait() == 0
    process.stdout.close()


@pytest.mark.parametrize("signalled", [True, False], ids=["Ctrl-C", "a reader that goes away"])
def test_a_stream_that_waits_for_a_line_ends_without_an_abort(server: StubServer, *, signalled: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "latimer", "translate", "--stream", "--to", "pt"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"one two\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"two one\n"
    if signalled:
        process.send_signal(signal.SIGINT)
    else:
        process.stdout.close()
        process.stdin.write(b"three four\n")
        process.stdin.flush()
    # Standard input stays open, as at a terminal.
    assert process.wait() == (130 if signalled else 1)
    assert b"Fatal Python error" not in process.stderr.read()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def test_a_terminal_that_is_not_utf_8_gets_question_marks_and_a_message() -> None:
    done = run_command("translate", "naïve 猫", "--to", "pt", encoding="latin-1")
    assert (done.returncode, done.stdout) == (0, "? naïve\n".encode("latin-1"))
    assert done.stderr.decode() == (
        "latimer: standard output has the encoding latin-1, and U+732B became a question mark;"
        " set PYTHONIOENCODING=utf-8, or write a file with --output\n"
    )
    ascii_only = run_command("translate", "é.txt", "--to", "pt", encoding="ascii")
    assert ascii_only.returncode == 2
    assert b"Traceback" not in ascii_only.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "text"],
        ["translate", "text", "--to"],
        ["translate", "text", "--to", "pt", "--nothing"],
        ["translate", "text", "--to", "pt", "--timeout", "soon"],
        ["translate", "text", "--to", "pt", "--format", "docx"],
        ["translate", "a.txt", "b.txt", "--to", "pt"],
        ["translate", "text", "--stream", "--to", "pt"],
        ["summarize", "text", "--sentences", "0"],
        ["summarize", "some.txt", "--sentences", "1", "--length", "short"],
        ["summarize", "some.txt", "--mode", "nothing"],
        ["summarize", "some.txt", "some.txt", "--length", "huge"],
        ["translate", "", "--to", "pt"],
        ["translate", "some.txt", "", "--to", "pt"],
        ["translate", "some.txt", "--to", "pt", "--column", "x"],
        ["translate", "some.txt", "--to", "pt", "--path", "x"],
        ["translate", "some.txt", "--to", "pt", "--no-header"],
        ["detect", ""],
        ["batch", "translate", "", "--out", "-", "--to", "pt"],
        ["batch", "translate", "some.txt", "--out", "", "--to", "pt"],
        ["summarize", "text", "--sentences", "1", "--length", "short"],
        ["batch"],
        ["nothing"],
    ],
)
def test_usage_errors_exit_with_2(arguments: list[str]) -> None:
    Path("some.txt").write_text("one two\n")
    done = run_command(*arguments)
    assert (done.returncode, done.stdout) == (2, b"") or arguments == ["batch"]
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_a_server_that_is_down_is_named_with_what_to_do() -> None:
    for profile in (("--profile", "down"), ("--address", "127.0.0.1:1", "--to", "pt")):
        done = run_command("translate", "text", *profile)
        assert (done.returncode, lines(done)) == (
            3,
            ["latimer: no server at 127.0.0.1:1; is it running, or does it want --tls?"],
        )


def test_options_come_before_the_environment_and_that_before_the_settings(
    settings: Path, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_text('address = "127.0.0.1:1"\nto = "pt"\nfrom = "en"\n')
    monkeypatch.setenv("LATIMER_ADDRESS", server.address)
    assert run_command("translate", "one two").stdout == b"two one\n"
    monkeypatch.setenv("LATIMER_ADDRESS", "127.0.0.1:1")
    assert run_command("translate", "one two", "--address", server.address).stdout == b"two one\n"


def test_options_of_the_server_may_stand_before_the_command(
    settings: Path, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_text(f'address = "127.0.0.1:1"\n[profiles.up]\naddress = "{server.address}"\nto = "pt"\n')
    assert run_command("--profile", "up", "translate", "one two").stdout == b"two one\n"
    assert run_command("--address", server.address, "--timeout", "9", "detect", "one").returncode == 0
    Path("a.txt").write_text("one two\n")
    assert run_command("--profile", "up", "batch", "translate", "a.txt", "--out", "-").stdout == b"two one\n"
    # One after the command is nearer, and both come before the environment.
    assert run_command("--profile", "none", "translate", "one two", "--profile", "up").stdout == b"two one\n"
    monkeypatch.setenv("LATIMER_PROFILE", "none")
    assert run_command("--profile", "up", "translate", "one two").stdout == b"two one\n"
    monkeypatch.setenv("LATIMER_PROFILE", "up")
    assert run_command("translate", "one two").stdout == b"two one\n"


def test_an_option_before_a_command_that_has_no_such_option_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_command("--timeout", "5", "batch", "translate", "a.txt", "--out", "-")
    assert done.returncode == 2
    assert b"latimer batch has no such option" in done.stderr
    monkeypatch.setenv("LATIMER_TOKEN", "x")
    assert run_command("formats").returncode == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("address = ", "is not valid TOML"),
        ('adress = "a"', "there is no setting 'adress'"),
        ("tls = 1", "tls has a value of a wrong type"),
        ('token_file = "none"', "the token_file of"),
        ("", "there is no profile 'down'"),
    ],
)
def test_wrong_settings_are_named(settings: Path, content: str, message: str) -> None:
    settings.write_text(content)
    arguments = ("--profile", "down") if not content else ()
    done = run_command("detect", "text", *arguments)
    assert (done.returncode, message in lines(done)[0]) == (2, True)


def test_no_colours_are_written_into_a_pipe() -> None:
    for arguments in (["--help"], ["batch", "translate", "--help"], ["translate", "--nothing"]):
        done = run_command(*arguments)
        assert b"\x1b[" not in done.stdout + done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("arguments", [["formats"], ["--help"], ["--version"], ["detect", "one two"]])
def test_a_full_standard_output_is_one_line_and_status_3(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "latimer", *arguments]
    with open("/dev/full", "wb") as full:  # noqa: PTH123 (a device)
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.decode()) == (3, "latimer: the output: No space left on device\n")


def test_help_on_a_narrow_terminal_has_whole_names_of_options() -> None:
    shown = _run_module("batch", "translate", "--help", COLUMNS="22").stdout.decode()
    assert all(name in shown for name in ("--no-header", "--encoding", "--address", "-s, --from, --source"))


def _run_module(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "latimer", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=environment or None)


def test_the_package_runs_as_a_module_and_completes_commands() -> None:
    assert _run_module("--version").stdout.decode().strip()
    words = {"_LATIMER_COMPLETE": "complete_bash", "COMP_WORDS": "latimer batch tr", "COMP_CWORD": "2"}
    assert b"translate" in _run_module(**words).stdout


def test_the_manual_pages_of_the_wheel_are_those_of_the_commands() -> None:
    written = {path.name: path.read_text() for path in (_CLIENT / "man").iterdir()}
    assert written == build_pages(app), "run make manual"


def test_the_command_line_has_the_packages_of_all_formats() -> None:
    extras = tomllib.loads((_CLIENT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras["files"]) <= set(extras["cli"])


def test_several_files_have_a_language_each() -> None:
    Path("a.txt").write_text("one two\n")
    Path("b.txt").write_text("three four\n")
    assert run_command("detect", "a.txt", "b.txt").stdout == b"a.txt: en 0.99 reliable\nb.txt: en 0.99 reliable\n"
