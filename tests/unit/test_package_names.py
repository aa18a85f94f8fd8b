"""Nothing makes pip look up a name of ours in a public index, where somebody else may own it (docs/decisions/0085)."""

from __future__ import annotations

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
OURS = {"latimer", "latimer-client", "latimer-server", "latimer-gateway"}


@pytest.mark.parametrize("project", ["pyproject.toml", "clients/python/pyproject.toml"])
def test_no_requirement_has_a_name_of_ours(project: str) -> None:
    settings = tomllib.loads((ROOT / project).read_text())["project"]
    lines = [*settings["dependencies"], *chain.from_iterable(settings["optional-dependencies"].values())]
    assert not OURS & {Requirement(line).name for line in lines}


def test_no_page_or_message_installs_by_a_name_of_ours() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "*.py", "*.toml", "*.yaml", "Makefile", "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = re.compile(r"install[^\n]*?[ '\"](latimer-(?:client|server|gateway))(?=[\[ '\"`,;]|$)", re.MULTILINE)
    found = {
        f"{path}: {match}"
        for path in listed.stdout.splitlines()
        if not path.startswith(("docs/decisions/", "docs/upstream/", "CHANGELOG"))
        and path != "tests/unit/test_package_names.py"
        for match in said.findall((ROOT / path).read_text(encoding="utf-8"))
    }
    assert not found
