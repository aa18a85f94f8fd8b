"""Tests of the readings of titles: names keep their capitals, other words lose them."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.casing import Casing, find_casing
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.readings import (
    capitalize_words,
    find_copied_names,
    find_copied_nouns,
    is_lone_word,
    is_name,
    leaves_only_names,
    lower_word,
    restore_case,
)

# The words that the vocabulary of these tests has with a capital only, or in capitals only. It has all others in small
# letters, and those of `DOUBTFUL` in both ways.
NAMES = frozenset(["Taylor", "Paris", "Bill", "Robert", "Tesla"])
ACRONYMS = frozenset({"NASA", "USB"})
DOUBTFUL = frozenset(["Swift", "Gates", "House"])


def score(word: str) -> float:
    """Returns the score of a word in that vocabulary."""
    capital = word.capitalize()
    if word.upper() in ACRONYMS:
        return -5.0 if word.isupper() else -20.0
    if capital in NAMES:
        return -5.0 if word == capital else -20.0
    if capital in DOUBTFUL:
        return -5.0 if word == capital else -5.5
    return -5.0 if word.islower() else -7.0 if word == capital else -30.0


def read(text: str, *spans: TextSpan, least: float = 1.0, names: frozenset[int] = frozenset()) -> str:
    """Returns a title as an ordinary sentence."""
    guarded = ProtectedText(text, spans)
    return restore_case(guarded, find_casing(guarded), "en", score, least, names).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Taylor Swift Announces New Album in Paris", "Taylor Swift announces new album in Paris"),
        ("Singer Sells House in Paris", "Singer sells house in Paris"),
        ("TESLA RECALLS CARS IN PARIS", "Tesla recalls cars in Paris"),
        ("BILL GATES VISITS PARIS", "Bill Gates visits Paris"),
        ("NASA LAUNCHES A ROCKET", "NASA launches a rocket"),
        ("USB PORT", "USB port"),
        ("How to Use USB Drives", "How to use USB drives"),
        ("I SAW IT AND I RAN", "I saw it and I ran"),
        ("WHAT I SAW", "What I saw"),
        ("THE BRIDGE IS CLOSED!", "The bridge is closed!"),
        ("STRAßE UND WEG", "Straße und weg"),
        ("Call Thomas A. Reed Today", "Call Thomas A. Reed today"),
        ("Anne O. Clark", "Anne O. Clark"),
        ("Plan A for the House", "Plan a for the house"),
    ],
)
def test_names_keep_their_capitals(text: str, expected: str) -> None:
    assert read(text) == expected


def test_a_doubtful_word_keeps_its_capital_in_the_second_reading() -> None:
    assert read("Singer Sells House in Paris", least=0.0) == "Singer sells House in Paris"


def test_words_that_are_given_as_names_keep_their_capitals() -> None:
    assert read("Rolling Stones Play in Paris", names=frozenset({0, 1})) == "Rolling Stones play in Paris"


def test_protected_spans_stay() -> None:
    assert read("OPEN X_FILE NOW", TextSpan(5, 11)) == "Open X_FILE now"


def test_a_text_in_capitals_becomes_a_title() -> None:
    assert capitalize_words(ProtectedText("ROLLING STONES IN RIO"), "en").text == "Rolling Stones in Rio"


@pytest.mark.parametrize(
    ("title", "output", "names"),
    [
        ("Rolling Stones Play in Rio", "Rolling Stones Play no Rio", {0, 1}),
        ("Rolling Stones Play in Rio", "rolling stones tocam no Rio", {0, 1}),
        ("Emma Stone in Rio", "Emma pedra no Rio", set()),
        ("Fans of Emma Stone Sing", "Fãs de Emma Stone cantam", {2, 3}),
        ("Stone, Emma", "Stone, Emma", set()),
        ("A of the B", "A of the B", set()),
    ],
)
def test_two_words_that_the_model_leaves_are_a_name(title: str, output: str, names: set[int]) -> None:
    assert find_copied_names(ProtectedText(title), output, "en", score) == names


def test_a_word_that_the_title_as_written_translates_is_no_name() -> None:
    title = ProtectedText("Taylor Publishes Memoir in Paris")
    nouns = find_copied_nouns(title, "Taylor Publica Memoir em Paris", "Taylor Publica Memória em Paris")
    assert nouns == {2}
    assert restore_case(title, Casing.TITLE, "en", _always, nouns=nouns).text == "Taylor Publishes memoir in Paris"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("Taylor Swift anuncia turnê em Paris", True),
        ("Taylor Swift Announces turnê em Paris", False),
        ("Taylor anuncia turnê em Tour", False),
    ],
)
def test_a_translation_of_a_title_may_leave_names_only(output: str, expected: bool) -> None:
    title = ProtectedText("Taylor Swift Announces a Tour in Paris")
    assert leaves_only_names(title, output, "en", score) is expected


def _always(word: str) -> float:
    return -25.0 if word.islower() else -5.0


def test_words_that_the_vocabulary_never_has_with_a_capital_are_no_name() -> None:
    assert find_copied_names(ProtectedText("Fire Destroys Hotel"), "Fire Destroys Hotel", "en", _never) == frozenset()


def _never(word: str) -> float:
    return -5.0 if word.islower() else -25.0


def test_without_scores_every_word_is_lowered() -> None:
    text = restore_case(ProtectedText("Taylor Swift Sings"), Casing.TITLE, "en", lambda _: None).text
    assert text == "Taylor swift sings"


@pytest.mark.parametrize("text", ["Robert", "Save…", "Monday:", "João"])
def test_a_capitalised_word_is_a_lone_word(text: str) -> None:
    assert is_lone_word(text)


@pytest.mark.parametrize("text", ["", "robert", "USB", "iPhone", "A", "Save it", "Mc-Donald", "12", "Robert 2"])
def test_other_texts_are_no_lone_words(text: str) -> None:
    assert not is_lone_word(text)


def test_a_lone_word_is_a_name_if_the_vocabulary_has_it_with_a_capital() -> None:
    assert is_name("Robert", score)
    assert not is_name("Save…", score)
    assert not is_name("Robert", lambda _: None)
    assert lower_word(ProtectedText("Save…")).text == "save…"


@pytest.mark.parametrize("unit", ["A ", "Aa Bb ", "AB", "A'A", "Taylor ", "of "])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    guarded = ProtectedText(unit * (100_000 // len(unit)))
    restore_case(guarded, Casing.TITLE, "en", score)
    find_copied_names(guarded, guarded.text, "en", score)
    is_lone_word(guarded.text)
