"""Generates the Python stubs of the contract, and checks the contract. Only this file runs protoc.

    python protos/generate.py            writes the stubs to clients/python/src/latimer/v1
    python protos/generate.py --check    fails if the committed stubs differ from generated ones
    python protos/generate.py --lint     checks the contract against buf's lint and format rules, and that nothing in it
                                         has changed for clients of the first tag

The compiler is installed in a separate virtual environment, protos/.venv. Stubs refuse a runtime that is older than
their generator, so grpcio-tools is pinned to an old version, which conflicts with the protobuf version of the server.
"""

from __future__ import annotations

import argparse
import filecmp
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
OUTPUT = PROTOS.parent / "clients" / "python" / "src"
PACKAGE = Path("latimer") / "v1"
TOOLS = PROTOS / ".venv"
# The contract may not change in a way that breaks clients of this version.
FIRST_TAG = "v0.1.0"
# grpcio-tools contains google/protobuf. google/rpc lies beside the contract.
REQUIREMENTS = (
    "grpcio-tools==1.71.2",
    "grpcio==1.71.2",
    "protobuf==5.29.6",
    "mypy-protobuf==3.7.0",
    "setuptools==80.9.0",
)


def install_tools() -> Path:
    """Returns the Python interpreter of the compiler's environment. Creates the environment if it is missing or
    outdated."""
    python = TOOLS / "bin" / "python"
    stamp = TOOLS / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(TOOLS, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return python


def run_protoc(*arguments: str) -> None:
    """Runs protoc on all files of the contract. Raises CalledProcessError if it fails."""
    python = install_tools()
    site = next(TOOLS.glob("lib/python*/site-packages"))
    includes = [f"-I{PROTOS}", f"-I{site / 'grpc_tools' / '_proto'}"]
    files = sorted(str(path) for path in (PROTOS / PACKAGE).glob("*.proto"))
    plugins = [f"--plugin={path}" for path in sorted((TOOLS / "bin").glob("protoc-gen-mypy*"))]
    subprocess.run([python, "-m", "grpc_tools.protoc", *includes, *plugins, *arguments, *files], check=True)


def generate(output: Path) -> None:
    """Writes the modules of messages and services, and their type stubs, to a folder."""
    run_protoc(
        f"--python_out={output}",
        f"--grpc_python_out={output}",
        f"--mypy_out=quiet:{output}",
        f"--mypy_grpc_out=quiet:{output}",
    )


def check() -> int:
    """Compares the committed stubs with generated ones, and prints the names of those that differ. Returns the exit
    status: 1 if any differ or are missing, else 0."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = Path(folder) / PACKAGE, OUTPUT / PACKAGE
        names = {path.name for root in (fresh, committed) for path in root.glob("*_pb2*")}
        _, differing, missing = filecmp.cmpfiles(fresh, committed, sorted(names), shallow=False)
    for name in differing + missing:
        print(f"{PACKAGE / name} is out of date; run python protos/generate.py", file=sys.stderr)
    return 1 if differing or missing else 0


def lint() -> int:
    """Checks the contract by the commands that protos/README.md shows. Returns the exit status."""
    buf = Path(sys.executable).with_name("buf")
    commands = [["lint"], ["build", "--output", "/dev/null"], ["format", "--path", "latimer", "--diff", "--exit-code"]]
    tagged = subprocess.run(["git", "rev-parse", "--quiet", "--verify", FIRST_TAG], cwd=PROTOS, capture_output=True)
    if tagged.returncode == 0:
        commands.append(["breaking", "--against", f"../.git#tag={FIRST_TAG},subdir=protos"])
    else:
        print(f"the tag {FIRST_TAG} is not here; fetch it to check that no client breaks", file=sys.stderr)
    return max(subprocess.run([buf, *command], cwd=PROTOS).returncode for command in commands)


def main() -> int:
    """Parses the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare the committed stubs with generated ones")
    parser.add_argument("--lint", action="store_true", help="check the contract with buf")
    arguments = parser.parse_args()
    if arguments.lint:
        return lint()
    if arguments.check:
        return check()
    generate(OUTPUT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
