"""Tests of the process that runs slimt: requests that arrive together become one call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.install import PROCESSES

# Takes the place of slimt's extension. It marks each text with the number of texts of its call.
FAKE = """
class Service:
    def __init__(self, workers, cache_size): pass
    def translate(self, model, texts):
        return [Response(f"{text} of {len(texts)}") for text in texts]
class Response:
    def __init__(self, text): self.target = Target(text)
class Target:
    def __init__(self, text): self.text = text
class preset:
    tiny = staticmethod(dict)
def Package(model, vocabulary, shortlist): return None
def Model(preset, package): return None
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Returns the command line of a process with the fake extension."""
    for name in ("model.enpt.bin", "vocab.enpt.spm", "lex.enpt.bin"):
        (tmp_path / name).touch()
    (tmp_path / "fake.py").write_text(FAKE, "utf-8")
    return [sys.executable, str(PROCESSES / "slimt.py"), str(tmp_path / "fake.py"), str(tmp_path), "2"]


def test_requests_that_have_arrived_become_one_call_and_get_their_own_answers(command: list[str]) -> None:
    requests = [{"id": 1, "texts": ["a", "b"], "long": True}, {"id": 2, "texts": ["c"], "long": False}]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    ended = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    hello, *answers = map(json.loads, ended.stdout.splitlines())
    assert hello["version"]
    assert [(answer["id"], answer["texts"], len(answer["seconds"])) for answer in answers] == [
        (1, ["a of 3", "b of 3"], 2),
        (2, ["c of 3"], 1),
    ]
