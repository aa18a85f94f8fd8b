"""Tests that no runtime requirement keeps a processor or a Python out.

docs/platforms.md lists the wheels of compiled requirements, as the package index had them. The tests have no network:
they compare the page with the installed packages, so that a new requirement or version needs `make report-platforms`.
"""

from __future__ import annotations

import importlib.metadata

import pytest
from packaging.specifiers import SpecifierSet

from benchmarks.platforms import PROCESSORS, PYTHONS, REPORT, is_pure, list_requirements, read_report

REQUIREMENTS = list_requirements()


def test_each_compiled_requirement_has_wheels_for_all_processors_and_pythons() -> None:
    compiled = {(name, version) for name, version in REQUIREMENTS.items() if not is_pure(name)}
    assert len(compiled) > 10
    reported = read_report(REPORT.read_text(encoding="utf-8"))
    assert set(reported) == compiled
    for package, cells in reported.items():
        assert cells == ["yes"] * (len(PROCESSORS) * len(PYTHONS)), package


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_each_requirement_allows_all_pythons(name: str) -> None:
    allowed = SpecifierSet(str(importlib.metadata.metadata(name).json.get("requires_python", "")))
    assert all(f"{python}.0" in allowed for python in PYTHONS)
