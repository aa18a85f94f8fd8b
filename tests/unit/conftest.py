"""Keeps sockets out of unit tests, and their garbage collections short."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from typing import NoReturn

import pytest


def _refuse(*_: object) -> NoReturn:
    raise AssertionError("a unit test opens a socket: it belongs in tests/integration")


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every connect and bind fail. Socket pairs, which event loops need, still work."""
    for method in ("bind", "connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, method, _refuse)


@pytest.fixture(scope="session", autouse=True)
def _frozen_imports() -> Iterator[None]:
    """Excludes imported modules from garbage collections, which many tests run."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
