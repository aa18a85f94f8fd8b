"""Kills the client or the server of a batch at random moments, and compares its output with that of a quiet run.

    python -m benchmarks.clients.kills [--kills KILLS] [--lines LINES] [--seed SEED]

Both are processes of their own and get SIGKILL. A killed client is started again with --resume, a killed server on its
port. Exits with 1 if an output differs by a byte.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clients.batch import write_lines
from benchmarks.clients.programs import start_batch, start_program
from benchmarks.clients.stub_server import translate

# Seconds within which a process is killed after its start. A client needs about one to start.
_LONGEST_LIFE = 4.0
# Kills in one batch; more would keep it from its end.
_MOST_KILLS = 12
_CLIENT_SHARE = 0.6
_SERVER_ERROR = 3  # the exit status of a client whose server was away for too long


class _Server:
    """A stub that is started again on its port whenever it is killed."""

    def __init__(self) -> None:
        self._process = start_program("benchmarks.clients.stub_server")
        self.port = self._read_port()
        self.address = f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Kills the server and starts another one."""
        self.stop()
        self._process = start_program("benchmarks.clients.stub_server", "--port", str(self.port))
        self._read_port()

    def stop(self) -> None:
        """Kills the server."""
        self._process.kill()
        self._process.communicate()

    def _read_port(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _run_batch(source: Path, target: Path, server: _Server, chance: random.Random, most: int) -> tuple[int, int]:
    """Runs one batch to its end, with at most so many kills. Returns the kills of clients and of servers."""
    clients = servers = 0
    client = start_batch(source, target, server.address, "--resume", "--quiet")
    while True:
        life = chance.uniform(0, _LONGEST_LIFE) if clients + servers < most else None
        try:
            _, errors = client.communicate(timeout=life)
        except subprocess.TimeoutExpired:
            if chance.random() < _CLIENT_SHARE:
                client.kill()
                client.communicate()
                clients += 1
            else:
                server.kill()
                servers += 1
                continue
        if client.returncode == 0:
            return clients, servers
        if client.returncode not in (-signal.SIGKILL, _SERVER_ERROR):
            sys.exit(f"the batch ended with {client.returncode}: {errors.decode()}")
        client = start_batch(source, target, server.address, "--resume", "--quiet")


def main() -> None:
    """Runs batches until there were enough kills."""
    parser = argparse.ArgumentParser(description="Kills clients and servers of batches.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--lines", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=20)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    clients = servers = batches = 0
    began = time.monotonic()
    server = _Server()
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "lines.txt", Path(name) / "lines.pt.txt"
        write_lines(source, given.lines)
        wanted = "".join(f"{translate(line)}\n" for line in source.read_text().splitlines())
        try:
            while clients + servers < given.kills:
                most = min(_MOST_KILLS, given.kills - clients - servers)
                more_clients, more_servers = _run_batch(source, target, server, chance, most)
                clients, servers, batches = clients + more_clients, servers + more_servers, batches + 1
                if target.read_text() != wanted:
                    sys.exit(f"batch {batches}: the output differs from that of a quiet run")
                left = sorted(path.name for path in Path(name).iterdir())
                if left != ["lines.pt.txt", "lines.txt"]:
                    sys.exit(f"batch {batches}: left over: {left}")
                target.unlink()
                print(f"{clients + servers} kills, {batches} batches", flush=True)
        finally:
            server.stop()
    print(
        f"{batches} batches of {given.lines:,} lines, {clients} kills of the client, {servers} of the server, in"
        f" {time.monotonic() - began:.0f} s: all outputs identical"
    )


if __name__ == "__main__":
    main()
