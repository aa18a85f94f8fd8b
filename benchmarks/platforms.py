"""Writes docs/platforms.md: the processors and Pythons for which each compiled runtime requirement has a wheel.

pip resolves the installed version of each for Linux on x86-64 and ARM64 with Python 3.11 to 3.14, without installing
anything, from the index that it is configured with. A pure wheel (`none-any`) runs everywhere.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "platforms.md"
PROCESSORS = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Platform tags of wheels that run with glibc 2.36 (Debian 12) and later; see PEP 600.
_TAGS = ("manylinux1", "manylinux2010", "manylinux2014", *(f"manylinux_2_{minor}" for minor in range(5, 37)))
_CLIENT = "latimer-client"
_HEADING = """# Platforms

`make report-platforms` writes this page. Every compiled package that the server needs, at the version of
`requirements.lock`, and whether it has a wheel for Linux (glibc 2.36 or later) on that processor with that Python.
The other packages that it needs are pure Python. `tests/unit/test_platforms.py` holds that none is missing.
"""


def list_requirements() -> dict[str, str]:
    """Returns the installed version of each package that the server needs here, by its canonical name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, str] = {}
    waiting = [Requirement(line) for line in (*project["dependencies"], f"{_CLIENT}[cli]")]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name != _CLIENT:
            found[name] = importlib.metadata.version(name).partition("+")[0]
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            contexts = [{"extra": extra} for extra in ("", *extras)]
            if needed.marker is None or any(needed.marker.evaluate(context) for context in contexts):
                waiting.append(needed)
    return dict(sorted(found.items()))


def is_pure(name: str) -> bool:
    """Returns True if the installed wheel of a package runs on every platform."""
    wheel = importlib.metadata.distribution(name).read_text("WHEEL") or ""
    tags = [line.removeprefix("Tag: ") for line in wheel.splitlines() if line.startswith("Tag: ")]
    return bool(tags) and all(tag.endswith("-none-any") for tag in tags)


def read_report(text: str) -> dict[tuple[str, str], list[str]]:
    """Returns the cells of the report after the version, by name and version of the package."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return {(name, version): cells for name, version, *cells in rows[2:]}


def _has_wheels(packages: Sequence[tuple[str, str]], processor: str, python: str) -> bool:
    platforms = [f"--platform={tag}_{processor}" for tag in _TAGS]
    with tempfile.TemporaryDirectory() as target:
        done = subprocess.run(
            [
                sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed",
                "--only-binary=:all:", f"--target={target}", "--implementation=cp", f"--python-version={python}",
                *platforms, *(f"{name}=={version}" for name, version in packages),
            ],
            capture_output=True, check=False,
        )  # fmt: skip
    return done.returncode == 0


def main() -> int:
    """Writes the report. Returns 1 if a wheel is missing."""
    packages = [(name, version) for name, version in list_requirements().items() if not is_pure(name)]
    columns: list[list[str]] = []
    for processor in PROCESSORS:
        for python in PYTHONS:
            # One call for all of them is enough if none is missing.
            whole = _has_wheels(packages, processor, python)
            columns.append(["yes" if whole or _has_wheels([one], processor, python) else "**no**" for one in packages])
            print(processor, python, "all" if whole else "not all", flush=True)
    heads = ["package", "version", *(f"{processor} {python}" for processor in PROCESSORS for python in PYTHONS)]
    rows = [[name, version, *(column[at] for column in columns)] for at, (name, version) in enumerate(packages)]
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
    REPORT.write_text("\n".join([_HEADING, *lines, ""]), encoding="utf-8")
    return 1 if any("**no**" in column for column in columns) else 0


if __name__ == "__main__":
    sys.exit(main())
