"""Tests of the choice of source sentences for HYBRID: each must be understood in the summary's order."""

from __future__ import annotations

from latimer_server.core.spans import TextSpan
from latimer_server.summarization.composition import LengthLimit, Sentence, SummarySource, count_words
from latimer_server.summarization.extraction import RankedSentences, extract_standalone

SENTENCES = (
    "This licence is for powered vessels on the rivers and canals of the Board.",
    "Helena Brandvold, who owns a boat on the Tarn, lodged an appeal on Tuesday.",
    "The fee is £210 for a vessel up to 7 metres and £385 for a longer one.",
    "She said that it had been £120 in the year in which she bought the boat.",
    "Brandvold also claims a refund of £90 for the months of June and July.",
)


def take(order: tuple[int, ...], count: int, language: str = "en") -> list[int]:
    sentences = tuple(Sentence(text, TextSpan(0, 1), text) for text in SENTENCES)
    words = tuple(count_words(text, language) for text in SENTENCES)
    ranked = RankedSentences(order, (0.0,) * len(SENTENCES))
    return extract_standalone(SummarySource(sentences, language, words), ranked, LengthLimit(sentence_count=count))


def test_a_person_is_introduced_before_a_sentence_names_them_or_the_sentence_is_omitted() -> None:
    assert take((4, 0, 1, 2, 3), 2) == [1, 4]
    assert take((4, 0, 1, 2, 3), 1) == [0]


def test_a_sentence_that_refers_back_follows_the_one_it_refers_to() -> None:
    assert take((2, 3, 0), 2) == [0]
    assert take((2, 3, 1, 0), 4) == [0, 1, 2, 3]


def test_the_best_sentence_is_chosen_if_none_is_understood_by_itself() -> None:
    assert take((3, 2), 1) == [3]


def test_the_best_sentences_are_chosen_without_word_lists_of_the_language() -> None:
    assert take((3, 2, 1, 0, 4), 2, "de") == [2, 3]
