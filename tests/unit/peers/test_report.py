"""Tests of a run's tables, Markdown and JSON."""

from __future__ import annotations

import json

import pytest

from benchmarks.peers.figures import Bound, Outcome, Row, Spread
from benchmarks.peers.report import (
    Run,
    describe_quiet,
    format_spread,
    tabulate_bounds,
    tabulate_outcome,
    to_json,
    to_markdown,
)
from benchmarks.peers.watch import Use

OUTCOME = Outcome(
    "bulk",
    "Bulk",
    (
        Row("", "ours", {"words/s": Spread((4_000.0, 4_400.0, 4_200.0))}),
        Row("", "a|peer", {"words/s": Spread((1_000.0, 1_100.0, 1_050.0)), "times": Spread((4.0,))}),
    ),
    (
        Bound("times the best peer", Spread((4.0, 4.2)), 4.0, most=False),
        Bound("seconds", Spread((4.9,)), 4.0, most=True),
    ),
    ("Measured in turns.",),
)
RUN = Run(
    {"cores": "2"}, {"ours": "1.0"}, {"flags": "none"}, (OUTCOME,), (Use("ours", 1.9, 0.01, 0.02, 0.5),), minutes=12.0
)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((4_200.4,), "4,200"),
        ((1.1, 1.05, 1.234), "1.10 (1.05 to 1.23)"),
        ((99.94, 12.3), "56.1 (12.3 to 99.9)"),
        ((-0.2,), "-0.20"),
    ],
)
def test_figures_have_three_significant_digits(values: tuple[float, ...], text: str) -> None:
    assert format_spread(Spread(values)) == text


def test_a_column_that_a_row_lacks_is_empty_and_the_column_of_cases_needs_a_case() -> None:
    assert tabulate_outcome(OUTCOME) == [
        ["engine", "words/s", "times"],
        ["ours", "4,200 (4,000 to 4,400)", ""],
        ["a|peer", "1,050 (1,000 to 1,100)", "4.00"],
    ]


def test_bounds_stand_beside_the_measured_figure() -> None:
    assert tabulate_bounds(RUN.bounds)[1:] == [
        ["times the best peer", "at least 4.00", "4.10 (4.00 to 4.20)", "pass"],
        ["seconds", "at most 4.00", "4.90", "MISS"],
    ]


def test_the_report_describes_which_processes_used_the_cores() -> None:
    assert "other engines used at most 0.01 of a core" in describe_quiet(RUN.uses)
    assert "at most 0.50" in describe_quiet(RUN.uses)
    assert describe_quiet(RUN.uses).startswith("THE MACHINE WAS NOT QUIET in 1 of 1")
    assert describe_quiet([Use("ours", 1.9, 0.0, 0.0, 0.05)] * 20).startswith("While")
    assert describe_quiet(()) == "The use of the cores was not measured."


def test_markdown_has_every_table_and_the_plot_if_there_is_one() -> None:
    text = to_markdown(RUN, "report.svg")
    assert "](report.svg)" in text
    assert "| a&#124;peer | 1,050 (1,000 to 1,100) | 4.00 |" in text
    assert "Measured in turns." in text
    assert "![" not in to_markdown(RUN, None)


def test_json_has_every_round() -> None:
    read = json.loads(json.dumps(to_json(RUN)))
    assert read["outcomes"][0]["rows"][0]["cells"]["words/s"] == [4_000.0, 4_400.0, 4_200.0]
    assert [bound["kept"] for bound in read["bounds"]] == [True, False]
