"""Keeps sockets out of unit tests, and their garbage collections short."""

from __future__ import annotations

import gc
import socket
from typing import NoReturn

import pytest


def _refuse(*_: object) -> NoReturn:
    raise AssertionError("a unit test opens a socket: it belongs in tests/integration")


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every connect and bind fail. Socket pairs, which event loops need, still work."""
    for method in ("bind", "connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, method, _refuse)


@pytest.fixture(scope="module", autouse=True)
def _frozen_imports() -> None:
    """Excludes the objects of earlier modules and of libraries from the garbage collections that tests run."""
    gc.collect()
    gc.freeze()
