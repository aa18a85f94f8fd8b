"""Fixtures and helpers: the real embedded models, from the store that `make install` fills."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from latimer_server.backends.marian.engine import Engine
from latimer_server.backends.marian.lazy_engine import LazyEngine
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.config.settings import load_settings
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store

PAIRS = {"en": "firefox-en-pt", "pt": "firefox-pt-en"}


def locate(name: str) -> Mapping[str, Path]:
    """Returns the files of an embedded model by role. `make install` fetches them."""
    store, entry = Store(load_settings(None).store), load_catalog().get(name)
    assert store.has(entry), f"{name} is not fetched: run `make install`"
    return store.locate(entry)


def never() -> bool:
    """A cancellation callback that never cancels."""
    return False


@pytest.fixture(scope="session")
def students() -> Mapping[str, MarianStudent]:
    """Both embedded students, by source language."""
    return {source: load_student(locate(name), 2) for source, name in PAIRS.items()}


@pytest.fixture(scope="session")
def exact_students() -> Mapping[str, MarianStudent]:
    """Both embedded students in float32, for exact comparisons between two ways of computation."""
    return {source: load_student(locate(name), 2, compute_type="float32") for source, name in PAIRS.items()}


def open_engine(student: MarianStudent) -> Engine:
    """Returns the engine that computes the options which the native search does not support."""
    return student._engine.open() if isinstance(student._engine, LazyEngine) else student._engine


def without_native(student: MarianStudent) -> MarianStudent:
    """Returns the student without the C++ engine, as on a processor that it does not support."""
    return MarianStudent(open_engine(student), student._source, student._target, student._shortlist)


def read_sentences(language: str) -> list[str]:
    """Returns 320 real sentences: everyday ones and sentences of a handbook."""
    folder = Path(__file__).parent.parent / "data"
    files = [folder / f"{kind}.{language}.txt" for kind in ("everyday", "handbook")]
    return [line for file in files for line in file.read_text("utf-8").splitlines()]
