"""Tests of the harm report: pairs of sentences, rules, scores and verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.harm.parallel import Pair, choose_pairs, divide_pair, is_usable
from benchmarks.quality.harm.report import Direction, describe, write_lists
from benchmarks.quality.harm.rules import find_rules
from benchmarks.quality.harm.scores import compare_systems
from benchmarks.quality.harm.verdicts import (
    BadVerdict,
    Difference,
    Judgement,
    count_stale,
    draw_differences,
    find_undecided,
    read_verdicts,
)

OUTPUTS = ["O gato dorme na mesa.", "A casa é vermelha", "Feche a porta, por favor.", "x"]
OTHERS = ["O gato dorme em cima da mesa.", "Casa vermelha", "Fechar porta", "y"]
REFERENCES = ["O gato está dormindo na mesa.", "A casa é vermelha.", "Por favor, feche a porta.", "zz"]


def test_chrf_is_that_of_sacrebleu() -> None:
    found = compare_systems(OUTPUTS, OTHERS, REFERENCES)
    assert found.whole == pytest.approx(sacrebleu.corpus_chrf(OUTPUTS, [REFERENCES]).score)
    assert found.bare == pytest.approx(sacrebleu.corpus_chrf(OTHERS, [REFERENCES]).score)
    assert found.low <= found.difference <= found.high


def test_equal_systems_differ_by_nothing() -> None:
    found = compare_systems(OUTPUTS, OUTPUTS, REFERENCES)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


def test_paragraphs_are_paired_by_sentence_if_their_numbers_agree() -> None:
    pairs = list(divide_pair("The cat sleeps. The dog barks.", "O gato dorme. O cão ladra.", "manuals", "a book"))
    assert [pair.portuguese for pair in pairs] == ["O gato dorme.", "O cão ladra."]
    assert not list(divide_pair("The cat sleeps. The dog barks.", "O gato dorme.", "manuals", "a book"))


@pytest.mark.parametrize(("english", "portuguese"), [("Same words", "Same words"), ("One", "Um"), ("a b", "a " * 40)])
def test_copies_single_words_and_texts_of_unlike_length_are_no_pairs(english: str, portuguese: str) -> None:
    assert not is_usable(Pair(english, portuguese, "software", "a program"))


def test_the_choice_is_the_same_in_any_order_and_has_no_sentence_twice() -> None:
    pairs = [Pair(f"Open file {n}", f"Abrir arquivo {n}", "software", "a program") for n in range(9)]
    pairs.append(Pair("Open file 1", "Abra o arquivo 1", "software", "a program"))
    chosen = choose_pairs(pairs, 20)
    assert chosen == choose_pairs(pairs[::-1], 20)
    assert len({pair.english for pair in chosen}) == len(chosen) == 9


class FakeWays:
    """A pipeline that upper-cases texts with a mark, and texts with a tag unless protection is off."""

    async def run_whole(self, texts: Sequence[str], options: Mapping[str, Any] | None = None) -> list[Answer]:
        protects = not (options or {}).get("disable_builtin_protection")
        return [Answer(text.upper() if "“" in text or ("@" in text and protects) else text) for text in texts]

    async def run_bare(self, texts: Sequence[str]) -> list[str]:
        return list(texts)


def test_a_difference_is_named_by_the_rule_whose_absence_ends_it() -> None:
    texts = ["ask @ana", "the “red” house", "a house", "it repeats"]
    whole = [Answer("ASK @ANA"), Answer("THE “RED” HOUSE"), Answer("a house")]
    whole.append(Answer("it", flags=frozenset({"REPETITION_REPAIRED"})))
    rules = asyncio.run(find_rules(FakeWays(), texts, whole, texts))
    assert rules == {0: "protection", 1: "quotation marks", 3: "repetition repair"}


def make_difference(source: str = "a b", whole: str = "c d", bare: str = "c") -> Difference:
    return Difference(("en", "pt"), source, whole, bare, "casing", "titles", "a book")


def test_a_verdict_belongs_to_both_outputs() -> None:
    judged = make_difference()
    verdicts = {judged.key: Judgement.WORSE}
    assert find_undecided([judged], verdicts) == []
    changed = make_difference(whole="c d e")
    assert find_undecided([changed], verdicts) == [changed]
    assert count_stale([changed], verdicts) == 1


def test_the_draw_depends_on_the_sources_alone() -> None:
    first = [make_difference(str(n)) for n in range(50)]
    second = [make_difference(str(n), whole="other") for n in range(50)]
    assert [d.source for d in draw_differences(first, 9)] == [d.source for d in draw_differences(second[::-1], 9)]


def test_an_unknown_verdict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "verdicts.toml").write_text('[verdicts]\nabc = "fine"\n', "utf-8")
    with pytest.raises(BadVerdict, match="abc"):
        read_verdicts(tmp_path / "verdicts.toml")
    assert read_verdicts(tmp_path / "none.toml") == {}


def test_the_report_counts_verdicts_and_lists_worse_outputs(tmp_path: Path) -> None:
    judged, other = make_difference(), make_difference("e f")
    way = Direction(("en", "pt"), {"titles": 5}, [judged, other], {"all": compare_systems(OUTPUTS, OTHERS, REFERENCES)})
    verdicts = {judged.key: Judgement.WORSE}
    text = "\n".join(describe([way], verdicts))
    assert "| casing | 2 | 2 | 0 | 0 | 1 |" in text
    assert "  - source: `a b`" in text
    write_lists([way], verdicts, tmp_path / "all.jsonl", tmp_path / "undecided.md")
    assert len((tmp_path / "all.jsonl").read_text("utf-8").splitlines()) == 2
    assert other.key in (tmp_path / "undecided.md").read_text("utf-8")
