"""SIGHUP on a running server: keys and settings are read again, and what cannot be used changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latimer import Client, UnauthenticatedError
from latimer_server.core.access import Scope
from tests.integration.test_keys import make_key
from tests.integration.test_process import SERVER


class Running:
    """A server without models that reads a configuration file and a key file."""

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "keys.toml"
        self.config = folder / "latimer.toml"
        self.secret = make_key(self.keys, "first", Scope.TRANSLATE)
        self.config.write_text(f'models = ""\nmetrics = ""\nkeys = "{self.keys}"\nlog_format = "json"\n')
        command = [SERVER, "serve", "--listen", "127.0.0.1:0", "--config", str(self.config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.address = self.process.stdout.readline().split()[-1]

    def reload(self, message: str) -> list[dict[str, Any]]:
        """Sends SIGHUP and returns the lines of the log until both the keys and the settings have this message. The
        server may have noticed the file of keys before the signal."""
        os.kill(self.process.pid, signal.SIGHUP)
        assert self.process.stderr
        lines: list[dict[str, Any]] = []
        waiting = {"keys", "settings"}
        while waiting:
            lines.append(json.loads(self.process.stderr.readline()))
            if lines[-1]["message"] == message:
                waiting.discard(lines[-1]["part"])
        return lines


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    yield server
    server.process.terminate()
    server.process.communicate(timeout=30)


def test_a_signal_reads_keys_and_settings_again(running: Running) -> None:
    second = make_key(running.keys, "second", Scope.TRANSLATE)
    running.config.write_text(f'{running.config.read_text()}log_level = "DEBUG"\nmax_requests = 7\n')
    lines = running.reload("reloaded")
    (waiting,) = [line for line in lines if line["message"] == "settings need a restart"]
    assert waiting["settings"] == "max_requests"
    with Client(running.address, token=second) as client:
        client.models()
    assert running.process.stderr
    assert any("call began" in line for line in iter(running.process.stderr.readline, ""))


def test_files_that_cannot_be_used_change_nothing(running: Running) -> None:
    running.keys.write_text("[keys.")
    running.config.write_text("max_requests = 0\n")
    failed = "reload failed; the old ones stay in use"
    lines = running.reload(failed)
    causes = {line["part"]: line["cause"] for line in lines if line["message"] == failed}
    assert str(running.keys) in causes["keys"]
    assert "max_requests" in causes["settings"]
    with Client(running.address, token=running.secret) as client:
        client.models()
    with Client(running.address, token="wrong") as client, pytest.raises(UnauthenticatedError):
        client.models()
