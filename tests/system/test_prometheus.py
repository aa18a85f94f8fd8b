"""deploy/prometheus and deploy/grafana against a real Prometheus that scrapes a real server.

Needs Debian's `prometheus`. Without it the tests are skipped, and fail in `make test-system`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.service.prometheus import DEPLOY, Prometheus, Query, find_programs, read_board, run_prometheus
from latimer import Client, LatimerError

SERVER = str(Path(sys.executable).with_name("latimer-server"))
# Panels and metrics that are empty while all is well, without keys and TLS, and once all models are loaded.
MAY_BE_EMPTY = (
    "Models that are not ready",
    "latimer_reloads_total",
    "Time left of certificates and keys",
    "Keys by state",
    "Seconds of loading a model",
)

pytestmark = pytest.mark.skipif(
    find_programs() is None and not os.environ.get("LATIMER_TEST_TOOLS"),
    reason="needs prometheus and promtool: apt-get install prometheus",
)


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, str]]:
    """Starts a server on free ports. Yields its address and that of its metrics."""
    command = [SERVER, "serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            address, metrics = (process.stdout.readline().split()[-1] for _ in range(2))
            yield address, metrics
        finally:
            process.terminate()


def may_be_empty(query: Query) -> bool:
    return any(name in (query.panel, *re.findall(r"\w+", query.expression)) for name in MAY_BE_EMPTY)


def promtool(*arguments: str) -> str:
    programs = find_programs()
    assert programs, "promtool is not installed"
    done = subprocess.run([programs[1], *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    assert "FAILED" not in promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


def test_each_alert_fires_on_the_values_that_it_is_for() -> None:
    promtool("test", "rules", str(DEPLOY / "prometheus" / "alerts_test.yml"))


@pytest.mark.slow
def test_every_query_of_the_board_has_an_answer_after_some_calls(tmp_path: Path) -> None:
    with (
        serving("--segment-cache-mb", "1", "--max-streams", "1") as (address, metrics),
        Client(address, timeout=60) as client,
        run_prometheus(metrics, tmp_path, seconds=0.5) as prometheus,
    ):
        prometheus.wait_for(lambda p: p.query("latimer_model_state{state='ready'} == 1"), 60)
        missing = {query.expression: query for query in read_board() if not may_be_empty(query)}
        assert len(missing) > 20

        def call_and_ask(prometheus: Prometheus) -> bool:
            """Makes some calls, then asks what had no answer yet: a rate needs two scrapes with different values."""
            client.translate(["The old house is red.", "42"], source="en", target="pt")
            client.summarize("One house is old. Two houses are red. Nobody lives in the third.")
            with pytest.raises(LatimerError):
                client.translate("A house.", source="en", target="zu")
            _call_unknown_method(address)
            _open_a_stream_too_many(address)
            for query in list(missing.values()):
                if prometheus.query(query.expression):
                    del missing[query.expression]
            return not missing

        try:
            prometheus.wait_for(call_and_ask, 30)
        except TimeoutError:
            pytest.fail(f"no answer: {list(missing)}")
        for query in read_board():
            prometheus.query(query.expression)  # raises if Prometheus refuses it


def _call_unknown_method(address: str) -> None:
    import grpc

    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/no.Service/Method", bytes, bytes)(b"")


def _open_a_stream_too_many(address: str) -> None:
    """Opens a stream beside one that holds the only place, so that it is refused with OVERLOADED."""
    import grpc

    from latimer.v1 import translation_pb2 as pb
    from latimer.v1 import translation_pb2_grpc

    config = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
    request = pb.StreamTranslateTextRequest(config=config, items=[pb.StreamItem(item_id="1", content="A house.")])
    refused = threading.Event()

    def hold() -> Iterator[pb.StreamTranslateTextRequest]:
        yield request
        refused.wait()

    with grpc.insecure_channel(address) as channel:
        stub: Any = translation_pb2_grpc.TranslationServiceStub(channel)
        held = stub.StreamTranslateText(hold())
        try:
            next(held)
            with pytest.raises(grpc.RpcError):
                next(stub.StreamTranslateText(iter([request])))
        finally:
            refused.set()
        list(held)


@pytest.mark.slow
def test_a_model_without_files_makes_a_real_prometheus_fire_an_alert(tmp_path: Path) -> None:
    with (
        serving("--models", "firefox-en-pt", "--store", str(tmp_path / "empty")) as (_, metrics),
        run_prometheus(metrics, tmp_path, seconds=0.5, hold="1s") as prometheus,
    ):
        prometheus.wait_for(lambda p: [a for a in p.list_alerts() if a["state"] == "firing"], 60)
        (alert,) = prometheus.list_alerts()
    assert alert["labels"]["alertname"] == "LatimerModelNotReady"
    assert alert["labels"]["model"] == "firefox-en-pt"
    assert alert["labels"]["state"] in ("not_fetched", "failed")
