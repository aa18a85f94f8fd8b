"""The entry point of `latimer-server`."""

from __future__ import annotations

import pytest

import latimer_server.cli


def test_a_server_without_the_client_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latimer_server.cli, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"pip install \./clients/python \."):
        latimer_server.cli.run()
