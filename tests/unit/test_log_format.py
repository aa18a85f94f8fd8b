"""Tests that log lines contain ids and causes, but never the text of a user."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading

import pytest

from latimer_server.config.settings import LogFormat
from latimer_server.observability.log_format import DETAILS, configure_logging, describe_exception, request_id
from latimer_server.observability.log_writer import LogWriter

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


class CountedOutput(io.StringIO):
    """Standard error that counts writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_lines_of_a_moment_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    output = CountedOutput()
    monkeypatch.setattr(sys, "stderr", output)
    writer = LogWriter()
    writer.start()
    for number in range(50):
        writer.put(f"line {number}")
        os.sched_yield()  # lets the writer's thread run
    writer.close()
    assert output.getvalue().splitlines() == [f"line {number}" for number in range(50)]
    assert output.writes < 10


def test_an_urgent_line_is_written_without_the_end_of_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    written = threading.Event()

    class Output(io.StringIO):
        def flush(self) -> None:
            written.set()

    monkeypatch.setattr(sys, "stderr", Output())
    writer = LogWriter()
    writer.start()
    writer.put("a warning", is_urgent=True)
    assert written.wait(60)
    writer.close()


def test_a_line_that_cannot_be_made_costs_no_other_line(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    writer = LogWriter()
    writer.start()
    writer.put("before")
    writer.put(lambda: str(1 // 0))
    writer.put("after")
    writer.close()
    before, broken, after = output.getvalue().splitlines()
    assert (before, after) == ("before", "after")
    assert "ZeroDivisionError" in broken


def test_a_line_that_is_made_later_has_the_request_of_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    writer = configure_logging(LogFormat.JSON, "INFO")
    token = request_id.set("request-8")
    logging.getLogger("test").info("call", extra={DETAILS: lambda: {"items": 3}})
    request_id.reset(token)
    writer.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    line = json.loads(capsys.readouterr().err)
    assert (line["request_id"], line["items"]) == ("request-8", 3)
    assert DETAILS not in line
