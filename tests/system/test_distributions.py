"""The wheels of the client and the server: what is in them, and that they install and run without a clone.

`make dist` builds them into dist/.
"""

from __future__ import annotations

import email
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import latimer

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
# Names that nobody has registered in the public index. pip must never look them up there.
OURS = {"latimer", "latimer-client", "latimer-server"}


def find_wheel(name: str) -> Path:
    """Returns the only wheel of a distribution in dist/; skips the test if there is none."""
    found = list(DIST.glob(f"{name}-*.whl"))
    if not found:
        pytest.skip("no wheels: `make dist` builds them")
    (wheel,) = found
    return wheel


def list_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def read_metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def list_sources(folder: Path, *suffixes: str) -> set[str]:
    """Returns the tracked files in a folder that its wheel must have."""
    tracked = subprocess.run(["git", "ls-files", "."], cwd=folder, capture_output=True, text=True, check=True)
    return {line for line in tracked.stdout.splitlines() if line.endswith(suffixes)}


def test_the_wheel_of_the_client_has_its_files_and_runs_everywhere() -> None:
    wheel = find_wheel("latimer_client")
    assert wheel.name.endswith("-py3-none-any.whl")
    files = {name for name in list_files(wheel) if not name.startswith("latimer_client-")}
    assert files == list_sources(ROOT / "clients/python/src", ".py", ".pyi", ".typed", ".html", ".zip")
    manual = {Path(name).name for name in list_files(wheel) if ".data/data/share/man/man1/" in name}
    assert manual == list_sources(ROOT / "clients/python/man", ".1")
    licences = {Path(name).name for name in list_files(wheel) if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_the_wheel_of_the_server_has_its_files_and_its_compiled_engine() -> None:
    wheel = find_wheel("latimer_server")
    assert not wheel.name.endswith("-none-any.whl")
    files = {name for name in list_files(wheel) if ".dist-info/" not in name}
    wanted = list_sources(ROOT / "service", ".py", ".toml", ".npz")
    assert wanted <= files
    compiled = {name for name in files - wanted if name.endswith(".so")}
    assert {Path(name).name.partition(".")[0] for name in compiled} == {"_student", "_ngrams"}
    assert not {name for name in files - wanted - compiled if name.endswith((".py", ".cpp", ".h"))}
    assert not any(name.startswith("latimer/") for name in files)


@pytest.mark.parametrize("name", ["latimer_client", "latimer_server"])
def test_no_requirement_has_a_name_that_anybody_could_register(name: str) -> None:
    metadata = read_metadata(find_wheel(name))
    required = {Requirement(line).name for line in metadata.get_all("Requires-Dist") or []}
    assert required
    assert not OURS & required


def test_both_wheels_have_the_version_of_the_packages() -> None:
    versions = {str(read_metadata(find_wheel(name))["Version"]) for name in ("latimer_client", "latimer_server")}
    assert versions == {latimer.__version__}


def test_the_client_carries_the_licence_of_the_project() -> None:
    assert (ROOT / "clients/python/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_wheels_run_in_a_fresh_environment(tmp_path: Path) -> None:
    """The packages that they need are those of this environment; their own code is that of the wheels."""
    wheels = [str(find_wheel(name)) for name in ("latimer_client", "latimer_server")]
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *wheels], check=True)
    (site,) = (path for path in map(Path, sys.path) if path.name == "site-packages")
    here = tmp_path / "work"
    here.mkdir()
    for program in ("latimer", "latimer-server"):
        # Of the two folders of packages the fresh one comes first.
        done = subprocess.run(
            [tmp_path / "bin" / program, "--version"],
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": f"{next(tmp_path.glob('lib/python*/site-packages'))}:{site}", "PATH": ""},
        )
        assert (done.returncode, latimer.__version__ in done.stdout) == (0, True), done.stderr
