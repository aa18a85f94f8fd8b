"""Fixtures: a server without models, and batches that it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.clients.stub_server import StubServer
from tests.integration.batch.runs import Batch


@pytest.fixture(scope="module")
def server() -> Iterator[StubServer]:
    with StubServer() as running:
        yield running


@pytest.fixture
def batch(tmp_path: Path, server: StubServer) -> Batch:
    return Batch(tmp_path, server)
