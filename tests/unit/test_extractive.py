"""Tests of the ranker: central sentences come first, repeated ones last, and memory does not grow quadratically."""

from __future__ import annotations

import resource

import pytest

from latimer_server.backends.extractive import ExtractiveRanker

RANKER = ExtractiveRanker()


def never() -> bool:
    return False


def test_the_most_central_sentence_is_first() -> None:
    ranking = RANKER.rank(
        [
            "My uncle bought a green umbrella in Ghent last autumn.",
            "The flood damaged the bridge over the river and closed the road.",
            "Engineers say the bridge over the river needs new pillars after the flood.",
            "The flood closed the road to the bridge for the whole night.",
        ],
        never,
    )
    assert ranking.order[0] in (1, 2)
    assert ranking.order[-1] == 0
    assert max(ranking.scores) == 1.0
    assert all(0 <= score <= 1 for score in ranking.scores)


def test_a_repeated_sentence_is_ranked_lower() -> None:
    twice = "The flood damaged the bridge over the river and closed the road."
    ranking = RANKER.rank([twice, twice, "The mayor asked the state for money to rebuild the bridge this year."], never)
    assert set(ranking.order[:2]) == {0, 2}


@pytest.mark.parametrize(
    "sentences",
    [[], ["One."], ["", "", ""], ["!!!", "???"], ["a b", "c d"], ["same words here now"] * 5, ["\u200b", "x" * 10_000]],
)
def test_any_sentence_is_ranked_exactly_once(sentences: list[str]) -> None:
    ranking = RANKER.rank(sentences, never)
    assert sorted(ranking.order) == list(range(len(sentences)))
    assert len(ranking.scores) == len(sentences)


def test_scripts_without_spaces_are_ranked_by_pairs_of_characters() -> None:
    sentences = [
        "洪水淹没了河上的桥梁和道路。",
        "工程师说河上的桥梁需要新的桥墩。",
        "我叔叔买了一把绿色雨伞。",
        "桥梁关闭后道路中断。",
    ]
    order = RANKER.rank(sentences, never).order
    assert set(order[:2]) == {0, 1}


def test_ten_thousand_sentences_need_less_than_quadratic_memory() -> None:
    words = [f"word{i}" for i in range(5_000)]
    sentences = [" ".join(words[(i * 7 + j * j) % 5_000] for j in range(20)) for i in range(10_000)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    RANKER.rank(sentences, never)
    # A dense matrix of float64 would take 800 MB; the sparse one takes about 60 MB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
