"""A batch whose client or server is killed (SIGKILL) goes on, and its output is that of an uninterrupted run.

`make batch-kills` does the same 200 times at random moments.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.clients.stub_server import StubServer, translate

_LINES = 6_000
_TEXT = "".join(f"This is line {number} of the text.\n" for number in range(_LINES))
_WANTED = "".join(f"{translate(line)}\n" for line in _TEXT.splitlines())


def start_client(source: Path, target: Path, address: str, *more: str) -> subprocess.Popen[bytes]:
    command = ["batch", "translate", str(source), "--from", "en", "--to", "pt", "--out", str(target)]
    return subprocess.Popen(
        [sys.executable, "-m", "latimer", *command, "--address", address, *more],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.txt"
    path.write_text(_TEXT)
    return path


def test_the_output_after_kills_of_the_client_is_that_of_an_uninterrupted_run(source: Path) -> None:
    target = source.with_name("target.txt")
    chance = random.Random(8)
    clients: list[subprocess.Popen[bytes]] = []
    left = [chance.randrange(1, _LINES // 2) for _ in range(2)]
    lock = threading.Lock()

    def kill_sometimes(texts: int) -> None:
        with lock:
            if not left:
                return
            left[0] -= texts
            if left[0] <= 0:
                left.pop(0)
                clients[-1].kill()

    with StubServer(on_texts=kill_sometimes) as server:
        while True:
            clients.append(start_client(source, target, server.address, "--resume"))
            _, errors = clients[-1].communicate()
            if clients[-1].returncode != -signal.SIGKILL:
                break
            assert not target.exists()
    assert clients[-1].returncode == 0, errors
    assert len(clients) == 3
    assert target.read_text() == _WANTED
    assert sorted(path.name for path in source.parent.iterdir()) == ["source.txt", "target.txt"]


def start_server(port: int, die_after: int | None) -> tuple[subprocess.Popen[bytes], int]:
    """Starts a stub in a process of its own. Returns it with its port."""
    deadline: Sequence[str] = () if die_after is None else ("--die-after", str(die_after))
    command = [sys.executable, "-m", "benchmarks.clients.stub_server", "--port", str(port), *deadline]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_the_output_after_kills_of_the_server_is_that_of_an_uninterrupted_run(source: Path) -> None:
    target = source.with_name("target.txt")
    server, port = start_server(0, 2_000)
    client = start_client(source, target, f"127.0.0.1:{port}")
    try:
        assert server.wait() == -signal.SIGKILL
        assert server.stdout is not None
        server.stdout.close()
        server, port = start_server(port, None)
        _, errors = client.communicate()
    finally:
        client.kill()
        client.wait()
        server.kill()
        server.communicate()
    assert client.returncode == 0, errors
    assert target.read_text() == _WANTED


def test_a_stopped_batch_says_how_to_go_on_and_leaves_no_output(source: Path) -> None:
    target = source.with_name("target.txt")
    clients: list[subprocess.Popen[bytes]] = []
    release = threading.Event()
    answered: list[int] = []

    def stop_once(texts: int) -> None:
        answered.append(texts)
        # A stream has at most eight groups in flight, so by now the client has results.
        if len(answered) == 10:
            clients[-1].send_signal(signal.SIGINT)
        if len(answered) >= 10 and len(clients) == 1:
            release.wait()

    with StubServer(on_texts=stop_once) as server:
        clients.append(start_client(source, target, server.address, "--jobs", "1"))
        _, errors = clients[-1].communicate()
        release.set()
        assert clients[-1].returncode == 130
        (line,) = errors.decode().splitlines()
        assert line.startswith("latimer: stopped; what is finished is kept in ")
        assert line.endswith("target.txt.journal; the same command with --resume goes on")
        assert not target.exists()
        refused = start_client(source, target, server.address)
        _, errors = refused.communicate()
        assert refused.returncode == 2
        assert b"--resume goes on with it, --force begins again" in errors
        clients.append(start_client(source, target, server.address, "--resume"))
        clients[-1].communicate()
    assert clients[-1].returncode == 0
    assert target.read_text() == _WANTED


def test_a_server_that_stays_away_is_an_error_that_keeps_what_is_done(source: Path) -> None:
    target = source.with_name("target.txt")
    source.write_text("One line.\n")
    client = start_client(source, target, "127.0.0.1:1")
    _, errors = client.communicate()
    assert client.returncode == 3
    assert b"no server at 127.0.0.1:1; is it running, or does it want --tls?" in errors
    assert [path.name for path in source.parent.iterdir()] == ["source.txt"]
