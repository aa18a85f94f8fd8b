"""No core file of a server holds what its callers have sent."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from latimer import Client, LatimerError

SERVER = str(Path(sys.executable).with_name("latimer-server"))
CANARY = "Quetzalcoatl"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_server_that_crashes_leaves_no_text_behind(tmp_path: Path, number: signal.Signals) -> None:
    with (
        ExitStack() as stack,
        subprocess.Popen(
            [SERVER, "serve", "--listen", "127.0.0.1:0", "--models", "", "--metrics", ""],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_allow_core_files,
        ) as process,
    ):
        assert process.stdout
        assert process.stderr
        stack.callback(process.kill)
        address = process.stdout.readline().split()[-1]
        with Client(address) as client, suppress(LatimerError):  # its model may not be fetched
            client.translate(f"The tale of {CANARY}.", source="en", target="pt", phrases=[CANARY])
        folder = Path("/proc") / str(process.pid)
        (limit,) = [line for line in (folder / "limits").read_text().splitlines() if line.startswith("Max core file")]
        assert limit.split()[4:6] == ["0", "0"]
        assert int((folder / "coredump_filter").read_text(), 16) == 0
        process.send_signal(number)
        assert process.wait(60) == -number
        assert CANARY not in process.stderr.read()
    assert not list(tmp_path.iterdir())


def _allow_core_files() -> None:
    """Sets the limit that an operator may have set. The server lowers it."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
