"""docs/operating.md lists each metric with its labels, and says what to do for each alert."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from latimer_server.core.errors import REFUSAL_REASONS
from latimer_server.core.telemetry import BatchReport, KeyReading, ModelReading, ServerReading
from latimer_server.observability.metrics import Metrics

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8")
ROW = re.compile(r"^\| `((?:grpc|latimer)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
_METHOD = ["grpc_method", "grpc_service", "grpc_type"]


def read_page() -> dict[str, tuple[str, list[str]]]:
    """Returns the type and the labels of each metric in the table."""
    table = {}
    for name, kind, labels in ROW.findall(PAGE):
        named = re.findall(r"`(\w+)`", labels)
        table[name] = kind, sorted([*named, *_METHOD] if "those" in labels else named)
    return table


def read_declarations() -> dict[str, tuple[str, list[str]]]:
    """Returns the type and the labels of each metric that a server has."""
    metrics = Metrics("1", ["m"], REFUSAL_REASONS)
    metrics.reading = ServerReading(models=(ModelReading("m", "ready", 1, 0),), keys=KeyReading(1, 0, 2.0))
    metrics.add_method("/latimer.v1.S/M", "unary")
    metrics.note_words("m", 1)
    metrics.note_load("m", True, 1.0)
    metrics.note_batch(BatchReport("m", [0.0], 0.0, 0.0, 0.0, 0.0, 1, 1))
    declared = {}
    for family in metrics.registry.collect():
        if not family.name.startswith("process_"):
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            name = f"{family.name}_total" if family.type == "counter" else family.name
            declared[name] = family.type, sorted(labels)
    return declared


def test_the_table_has_all_metrics_with_their_types_and_labels() -> None:
    assert read_page() == read_declarations()


def test_the_page_says_what_to_do_for_each_alert() -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert set(re.findall(r"^\| (Latimer\w+) \|", PAGE, re.MULTILINE)) == alerts


def test_rules_and_board_name_only_metrics_that_exist() -> None:
    declared = read_declarations()
    known = {*declared, *(f"{name}{end}" for name in declared for end in ("_bucket", "_sum", "_count"))}
    for file in ("prometheus/alerts.yml", "prometheus/recording.yml", "grafana/latimer.json"):
        text = re.sub(r"job\w*:[\w:]+", "", (ROOT / "deploy" / file).read_text("utf-8"))
        used = set(re.findall(r"\b(?:latimer|grpc_server)_\w+", text))
        assert used - known == set(), file
