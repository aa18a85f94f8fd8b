"""Tests that log lines contain ids and causes, but never the text of a user."""

from __future__ import annotations

import json
import logging

import pytest

from latimer_server.config.settings import LogFormat
from latimer_server.observability.log_format import configure_logging, describe_exception, request_id

SECRET = "Dona Amélia's diagnosis"


def _fail() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(f"could not handle {SECRET}") from error


@pytest.mark.parametrize("style", LogFormat)
def test_the_location_of_an_exception_is_logged_but_not_its_message(
    style: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    writer = configure_logging(style, "INFO")
    token = request_id.set("request-7")
    try:
        _fail()
    except ValueError:
        logging.getLogger("test").exception("failed", extra={"model": "m1"})
    finally:
        writer.close()
        request_id.reset(token)
        root.handlers[:] = handlers
        root.setLevel(level)
    line = capsys.readouterr().err
    assert SECRET not in line
    assert "Amélia" not in line
    for expected in ("failed", "ValueError", "KeyError", "test_log_format.py", "request-7", "m1"):
        assert expected in line
    if style is LogFormat.JSON:
        assert json.loads(line)["request_id"] == "request-7"


def test_a_chain_of_exceptions_is_described_from_the_last_to_the_first() -> None:
    try:
        _fail()
    except ValueError as error:
        described = describe_exception(error)
    assert described.index("ValueError") < described.index("KeyError")


def test_a_value_with_controls_stays_on_its_line_of_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    writer = configure_logging(LogFormat.CONSOLE, "INFO")
    try:
        logging.getLogger("test").error("failed", extra={"cause": "line 1\n2026 INFO ready\x1b[2J"})
    finally:
        writer.close()
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("cause=line 1\\n2026 INFO ready\\x1b[2J")
