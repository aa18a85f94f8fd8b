"""Clients in other languages, built from protos/ as an outsider does, against a server with its real models.

Needs Node with npm's registry, and the Debian packages of Go, of grpc-go and of protoc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.test_process import listening
from tests.native_builds import find_tool

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
FILES = [f"latimer/v1/{name}.proto" for name in ("models", "summarization", "translation", "types")]
# Where Debian's packages of Go libraries lie.
DEBIAN_GOPATH = "/usr/share/gocode"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with listening() as (_, listened):
        yield listened


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Runs a program, and returns its output; fails the test with its messages."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_in_node(address: str, tmp_path: Path) -> None:
    node, npm = find_tool("node"), find_tool("npm")
    # A copy beside a copy of the contract, so that nothing is installed into the tree of the sources.
    folder = tmp_path / "clients" / "node-example"
    shutil.copytree(ROOT / "clients" / "node-example", folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(PROTOS, tmp_path / "protos", ignore=shutil.ignore_patterns(".venv"))
    run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    lines = run(node, "example.js", address, folder=folder).splitlines()
    assert lines[0] == "translated: Bom dia."
    assert "ponte" in lines[1]
    assert [line.partition(":")[0] for line in lines[2:5]] == ["streamed 0", "streamed 1", "streamed 2"]
    assert lines[5] == "characters: 14"
    assert lines[6].startswith("summarized: The ")
    assert "error: INVALID_ARGUMENT INVALID_ARGUMENT" in lines[7]
    assert "target_language_codes[0] '??' is not a BCP-47 language code" in lines[7]


def test_the_example_in_go(address: str, tmp_path: Path) -> None:
    go = find_tool("go")
    for tool in ("protoc", "protoc-gen-go", "protoc-gen-go-grpc"):
        find_tool(tool)
    sources = tmp_path / "src"
    sources.mkdir()
    run("protoc", "-I.", f"--go_out={sources}", f"--go-grpc_out={sources}", *FILES, folder=PROTOS)
    environment = {
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOPATH": f"{tmp_path}:{DEBIAN_GOPATH}",
        "GOCACHE": str(tmp_path / "cache"),
    }
    program = tmp_path / "example"
    run(go, "build", "-o", program, "main.go", folder=ROOT / "clients" / "go-example", environment=environment)
    lines = run(program, address, folder=tmp_path).splitlines()
    assert lines[0] == "translated: Bom dia. []"
    assert "ponte" in lines[1]
    assert [line.partition(":")[0] for line in lines[2:4]] == ["streamed 0", "streamed 1"]
    assert lines[4].startswith("summarized: The ")
    assert lines[5].startswith("error: InvalidArgument ")
    assert lines[7] == "violation: target_language_codes[0] '??' is not a BCP-47 language code"


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("java", "latimer/v1/TranslateTextRequest.java"),
        ("csharp", "Translation.cs"),
        ("php", "Latimer/V1/TranslateTextRequest.php"),
    ],
)
def test_the_contract_is_built_for_a_language(language: str, written: str, tmp_path: Path) -> None:
    run(find_tool("protoc"), "-I.", f"--{language}_out={tmp_path}", *FILES, "google/rpc/status.proto", folder=PROTOS)
    assert (tmp_path / written).is_file()
