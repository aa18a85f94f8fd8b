"""Tests of the selection of ordinary prose, the count of warnings, and the measurement of cost."""

from __future__ import annotations

import time

import pytest

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.cost import measure_cost
from benchmarks.quality.fidelity.ordinary import Direction, Scores, describe, list_alarms
from benchmarks.quality.fidelity.prose import is_prose
from latimer_server.core.flags import Flag


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The integrity of the file is verified by the 2 maintainers of the archive."),
        ("pt", "Após um mês ou mais, o arquivo pode ser usado se for cuidadoso."),
    ],
)
def test_plain_sentences_are_prose(language: str, sentence: str) -> None:
    assert is_prose(sentence, language)


@pytest.mark.parametrize(
    "sentence",
    [
        "Copy the file to /etc/hosts and restart the computer of the user.",
        "Use the option --force of the command to remove the old package.",
        "The following is the manual of ssh(1) and of the other commands.",
        "the first letter of this is small and the rest is not.",
        "This is the beginning of a list of the following things:",
        "Short and to the point.",
        "Este documento é essencial dentro do projeto e descreve como se faz.",
    ],
)
def test_commands_fragments_and_other_languages_are_no_prose(sentence: str) -> None:
    assert not is_prose(sentence, "en")


def test_every_flag_except_notes_is_an_alarm() -> None:
    for flag in Flag:
        assert list_alarms(Answer(flags=frozenset({flag.name}))) == ([flag.name] if flag.value >= 20 else [])


def test_the_report_returns_whether_the_bounds_are_kept() -> None:
    quiet, loud = Answer("a"), Answer("b", frozenset({"COPIED_SOURCE"}))

    def report(alarms: int, bare: float) -> bool:
        answers = [loud] * alarms + [quiet] * (100 - alarms)
        garbled = Scores(90.0, 90.0, 99.0)  # of typographic marks, which have no bound
        return describe([Direction(("en", "pt"), ["x"] * 100, answers, garbled, Scores(97.0, 97.0, bare))])[1]

    assert report(2, 97.5)
    assert not report(3, 97.5)
    assert not report(2, 97.6)


def test_cost_is_the_cpu_time_of_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    nanoseconds = 0

    def compute(text: str) -> None:
        nonlocal nanoseconds
        nanoseconds += 30_000

    monkeypatch.setattr(time, "thread_time_ns", lambda: nanoseconds)
    costs = measure_cost({"wait": lambda _: None, "compute": compute}, ["a text of some length"] * 30, rounds=3)
    assert costs == {"wait": 0.0, "compute": 30.0}
