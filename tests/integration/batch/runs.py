"""Batches in a folder of a test."""

from __future__ import annotations

from pathlib import Path

from benchmarks.clients.stub_server import StubServer
from tests.command_line import Done, run_command


class Batch:
    """Runs batches in a folder of the test."""

    def __init__(self, folder: Path, server: StubServer) -> None:
        self.folder = folder
        self._address = server.address

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def read_bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def run(self, *names: str, out: str, task: str = "translate", stdin: bytes = b"", **options: str | bool) -> Done:
        more = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is True]
        for name, value in options.items():
            more += [f"--{name}", value] if isinstance(value, str) else []
        languages = ("--to", "pt", "--from", "en") if task == "translate" else ()
        target = out if out == "-" else str(self.folder / out) + ("/" if out.endswith("/") else "")
        return run_command(
            "batch", task, *names, "--out", target, *languages, "--address", self._address, *more, stdin=stdin
        )

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
