"""Tests that no runtime requirement keeps a processor or a Python out: docs/platforms.md lists the wheels of each.

The tests have no network. They compare the table with the installed packages, so that a new requirement or version
needs `make report-platforms`.
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OURS = "latimer-client"
