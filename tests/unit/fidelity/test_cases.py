"""Tests of the cases of the fidelity suite and of judging answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.cases import BadCase, Case, read_cases
from benchmarks.quality.fidelity.invariants import INVARIANTS
from benchmarks.quality.fidelity.outcomes import Outcome, judge
from benchmarks.quality.fidelity.report import HEADERS, tabulate
from benchmarks.quality.fidelity.service import read_options

CASES = read_cases(INVARIANTS)
# Invariants that a copy of the input keeps; the others need a translation.
KEPT_BY_A_COPY = ("keeps", "order", "untouched", "lines", "spaces", "pairs", "edges", "tags", "markdown", "equals")


def test_there_are_enough_cases_of_every_kind() -> None:
    assert len(CASES) >= 1_100
    kinds = Counter(case.kind for case in CASES)
    assert len(kinds) == 41
    assert min(kinds.values()) >= 6
    directions = Counter(case.source[:2].lower() for case in CASES)
    assert directions["pt"] >= 160


def test_both_directions_have_cases_of_known_origin() -> None:
    directions = Counter(case.source for case in CASES if case.origin)
    assert directions["en"] >= 250
    assert directions["pt"] >= 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_copy_of_the_input_damages_nothing_and_the_options_are_the_contract_s(case: Case) -> None:
    read_options(case.options)
    if len(case.content) > 5_000:
        return
    for name in KEPT_BY_A_COPY:
        if name in case.checks:
            assert INVARIANTS[name].check(case.checks[name], case, Answer(case.content)) == []


CASE_LINE = '[[case]]\nname = "a"\ndirection = "en-pt"\ncontent = "Tea"\n'


@pytest.mark.parametrize(
    "line",
    [
        CASE_LINE,
        CASE_LINE + "no_such_invariant = true\n",
        CASE_LINE.replace("en-pt", "en-fr") + 'equals = "Chá"\n',
        (CASE_LINE + 'equals = "Chá"\n') * 2,
    ],
)
def test_an_invalid_case_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "one.toml").write_text(f'kind = "a kind"\n{line}', "utf-8")
    with pytest.raises(BadCase, match="a"):
        read_cases(INVARIANTS, tmp_path)


def make_case(**checks: Any) -> Case:
    return Case("a case", "a kind", "en", "pt", "See {a} <b>now</b> 12", checks)


GOOD = "Veja {a} <b>agora</b> 12"


@pytest.mark.parametrize(
    ("text", "flags", "outcome"),
    [
        (GOOD, (), Outcome.SURVIVED),
        (GOOD, ("MARKUP_REPAIRED",), Outcome.REPAIRED),
        ("Veja agora 12", ("PLACEHOLDER_MISMATCH",), Outcome.FLAGGED),
        ("Veja {a} <b>agora</b>", ("NUMBER_MISMATCH",), Outcome.FLAGGED),
        ("Veja agora", ("PLACEHOLDER_MISMATCH",), Outcome.SILENT),
        ("Veja agora 12", ("UNKNOWN_TOKENS", "NUMBER_MISMATCH"), Outcome.SILENT),
        ("Veja agora 12", (), Outcome.SILENT),
    ],
)
def test_the_outcome_depends_on_damage_and_flags(text: str, flags: tuple[str, ...], outcome: Outcome) -> None:
    verdict = judge(make_case(keeps=["{a}"], tags=True, numbers=True), Answer(text, frozenset(flags)))
    assert verdict.outcome is outcome
    assert verdict.strictly_silent == (outcome is Outcome.SILENT)


def test_a_misplaced_tag_counts_as_repaired_if_the_server_flags_it() -> None:
    case = make_case(wraps={"b": "agora"}, tags=True)
    moved = "<b>Veja {a} agora mesmo 12</b>"
    assert judge(case, Answer(moved, frozenset({"MARKUP_REPAIRED"}))).outcome is Outcome.REPAIRED
    assert judge(case, Answer(moved)).outcome is Outcome.SILENT


def test_an_unimplemented_request_is_refused_and_does_not_hold() -> None:
    verdict = judge(make_case(keeps=["{a}"]), Answer(error="UNIMPLEMENTED"))
    assert verdict.outcome is Outcome.REFUSED
    assert not verdict.holds


def test_a_failed_call_is_silent_damage_unless_the_case_expects_it() -> None:
    assert judge(make_case(keeps=["{a}"]), Answer(error="INTERNAL")).outcome is Outcome.SILENT
    assert judge(make_case(error="NOT_FOUND"), Answer(error="NOT_FOUND NOT_SERVED")).outcome is Outcome.SURVIVED


def test_the_table_counts_every_case_once() -> None:
    verdicts = [judge(make_case(keeps=["{a}"]), Answer(text)) for text in ("{a}", "")]
    *_, total = tabulate(verdicts)
    row = dict(zip(HEADERS, total, strict=True))
    assert (row["survived"], row["silent"], row["total"], row["holds"]) == ("1", "1", "2", "50.0%")
