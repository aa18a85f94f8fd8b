"""Scripts: every part of the server takes the same languages and characters for unspaced or dense."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from latimer_server.backends.protocol import Encoding
from latimer_server.core.decoding import LanguagePair
from latimer_server.core.scripts import (
    DENSE_LANGUAGES,
    SCRIPTS,
    UNSPACED_LANGUAGES,
    UNSPACED_LETTERS,
    UNSPACED_OR_DENSE_LETTERS,
)
from latimer_server.core.spans import TextSpan
from latimer_server.models.pool.canary import run_canary
from latimer_server.summarization.composition import SelectedSentence, compose_summary, count_words
from latimer_server.text.checks.copied import is_copy
from latimer_server.text.checks.length import has_odd_length
from latimer_server.text.checks.numbers import has_number_mismatch
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.markup.nesting import split_text
from latimer_server.text.protection.rules import ProtectionRules, compile_phrases
from tests.fakes import EchoBackend, make_entry

ENGLISH = "The bridge over the river is closed until next Monday because of the flood."
ANY = LanguagePair()
SENTENCES = {
    "bo": "བོད་ནི་ས་ཆ་མཐོ་པོ་ཞིག་ཡིན།",
    "ja": "昨日、川の近くの古い家が売れました。",
    "km": "ប្រទេសកម្ពុជាស្ថិតនៅអាស៊ីអាគ្នេយ៍។",
    "ko": "그 오래된 집은 어제 팔렸습니다.",
    "lo": "ຂົວຂ້າມແມ່ນ້ຳປິດຮອດວັນຈັນ",
    "my": "မြန်မာနိုင်ငံသည် အရှေ့တောင်အာရှတွင် တည်ရှိသည်။",
    "th": "สะพานข้ามแม่น้ำปิดจนถึงวันจันทร์",
    "yue": "香港今日落大雨，條橋封咗到星期一。",
    "zh": "河上的桥因洪水关闭到下周一。",
}


class Terse(EchoBackend):
    """A model that writes 20 digits for any sentence; digits have no language that a detector could reject."""

    def encode(self, texts: Sequence[str], languages: LanguagePair = ANY) -> list[Encoding]:
        return super().encode(["1" * 20 for _ in texts], languages)


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_the_letters_of_a_language_are_in_the_ranges_of_its_scripts(language: str) -> None:
    ranges = "".join(script.letters for script in SCRIPTS if language in script.languages)
    letters = "".join(filter(str.isalpha, SENTENCES[language]))
    assert re.fullmatch(f"[{ranges}]+", letters)
    assert bool(re.fullmatch(f"[{UNSPACED_LETTERS}]+", letters)) == (language in UNSPACED_LANGUAGES)


def test_letters_of_spaced_scripts_and_punctuation_are_in_no_range() -> None:
    assert not re.search(f"[{UNSPACED_OR_DENSE_LETTERS}]", "aß é жи عر हिन्दी ქა አማ 。、「」…!")


def test_hangul_is_dense_but_spaced_and_thai_the_reverse() -> None:
    assert "ko" in DENSE_LANGUAGES - UNSPACED_LANGUAGES
    assert "th" in UNSPACED_LANGUAGES - DENSE_LANGUAGES


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [("yue", "香港今日落大雨。", 7), ("yue-Hant", "香港今日落大雨。", 7), ("wuu", "今朝落雨。", 4), ("bo", "བོད་ནི།", 3)],
)
def test_words_of_unspaced_languages_are_counted_by_characters(language: str, text: str, words: int) -> None:
    assert count_words(text, language) == words


@pytest.mark.parametrize(
    ("language", "separator"), [("yue", ""), ("wuu", ""), ("zh", ""), ("th", ""), ("bo", " "), ("ko", " "), ("en", " ")]
)
def test_sentences_of_a_summary_are_joined_as_the_language_does(language: str, separator: str) -> None:
    chosen = [SelectedSentence(text, "", (TextSpan(0, 1),), 1.0) for text in ("a", "b")]
    assert compose_summary(chosen, language).text == f"a{separator}b"


@pytest.mark.parametrize("language", ["bo", "km", "my", "th", "ja", "ko"])
def test_a_copied_sentence_is_found_in_every_unspaced_or_dense_script(language: str) -> None:
    assert is_copy(SENTENCES[language], SENTENCES[language], language, "en")


@pytest.mark.parametrize("language", ["yue", "zh", "wuu"])
def test_chinese_numerals_are_read_in_every_chinese_language(language: str) -> None:
    assert not has_number_mismatch("There are 25 books.", "有二十五本书。", "en", language)


@pytest.mark.parametrize("language", sorted(DENSE_LANGUAGES))
def test_the_length_of_dense_languages_has_more_slack(language: str) -> None:
    assert not has_odd_length(ENGLISH, "字" * 39, "en", language)


@pytest.mark.parametrize("language", sorted(UNSPACED_LANGUAGES | DENSE_LANGUAGES))
def test_the_canary_allows_short_outputs_in_unspaced_and_dense_languages(language: str) -> None:
    entry = make_entry("model", "en", "en", canary=ENGLISH)
    entry = entry.model_copy(update={"source_languages": ("en",), "target_languages": (language,)})

    run_canary(entry, Terse(), LanguageDetector())


@pytest.mark.parametrize(("language", "phrase"), [("km", "កម្ពុជា"), ("my", "အာရှ"), ("bo", "མཐོ"), ("th", "แม่น้ำ")])
def test_a_phrase_is_protected_inside_an_unspaced_sentence(language: str, phrase: str) -> None:
    text = SENTENCES[language]
    (span,) = ProtectionRules(builtin=False, phrases=compile_phrases([phrase])).find(text)
    assert text[span.start : span.end] == phrase


def test_a_token_of_markup_is_a_character_of_unspaced_scripts_and_a_word_of_others() -> None:
    assert len(split_text("བོད")) == 3
    assert len(split_text("人々")) == 2
    assert len(split_text("ㅋㅋㅋ")) == 1
    assert len(split_text("그 오래된 집")) == 3
