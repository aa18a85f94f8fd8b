"""The contract as a stranger finds it: `buf` lints and builds it alone, and notices a change that breaks clients."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.rpc import error_details_pb2, status_pb2

PROTOS = Path(__file__).parents[2] / "protos"
BUF = Path(sys.executable).with_name("buf")


def run_buf(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Returns a copy of protos/ without anything around it."""
    folder = tmp_path / "protos"
    shutil.copytree(PROTOS, folder, ignore=shutil.ignore_patterns(".venv"))
    return folder


@pytest.mark.parametrize("command", [("lint",), ("build", "--output", "/dev/null")])
def test_the_contract_needs_nothing_beside_it(copy: Path, command: tuple[str, ...]) -> None:
    done = run_buf(copy, *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  string translated_text = 1;", "  string translated_text = 21;", "Previously present field"),
        ("  float avg_log_prob = 3;", "  double avg_log_prob = 3;", "changed type"),
        ("  rpc DetectLanguage(", "  rpc DetectLanguages(", "Previously present RPC"),
    ],
)
def test_a_change_that_breaks_clients_is_noticed(copy: Path, old: str, new: str, complaint: str) -> None:
    assert run_buf(copy, "breaking", "--against", PROTOS).returncode == 0
    path = copy / "latimer/v1/translation.proto"
    path.write_text(path.read_text().replace(old, new, 1))
    done = run_buf(copy, "breaking", "--against", PROTOS)
    assert done.returncode == 100
    assert complaint in done.stdout


def test_the_messages_of_google_are_those_of_the_python_package() -> None:
    for module, name in ((status_pb2, "status"), (error_details_pb2, "error_details")):
        published = Path(str(module.__file__)).with_name(f"{name}.proto")
        assert (PROTOS / "google/rpc" / published.name).read_text() == published.read_text()


def test_every_file_names_its_packages() -> None:
    for path in (PROTOS / "latimer/v1").glob("*.proto"):
        text = path.read_text()
        for option in ("csharp_namespace", "go_package", "java_multiple_files", "java_package", "php_namespace"):
            assert f"option {option} = " in text, path.name
