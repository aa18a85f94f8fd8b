"""Codes are BCP-47, matched as CLDR says; detection is honest about short and empty text."""

from __future__ import annotations

import pytest

from latimer_server.languages import CodeIndex, LanguageDetector, match_code, normalize_code


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector()


@pytest.mark.parametrize(
    ("code", "canonical"), [("EN_us", "en-US"), ("por", "pt"), ("iw", "he"), ("zh-hant-tw", "zh-Hant-TW"), ("pt", "pt")]
)
def test_codes_become_canonical(code: str, canonical: str) -> None:
    assert normalize_code(code) == canonical


@pytest.mark.parametrize("code", ["", "x", "xx", "english", "en--us", "日本", "en\n", "e" * 500, "\x00"])
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="BCP-47"):
        normalize_code(code)


@pytest.mark.parametrize(
    ("wanted", "served", "match"),
    [
        ("pt-BR", ["en", "pt"], "pt"),
        ("pt-PT", ["pt"], "pt"),
        ("pt", ["pt-BR", "pt-PT"], "pt-BR"),
        ("no", ["nb"], "nb"),
        ("zh-TW", ["zh-Hans", "zh-Hant"], "zh-Hant"),
        ("en", ["en"], "en"),
        ("zh-Hans", ["zh-Hant"], None),
        ("gl", ["pt"], None),
        ("ca", ["es"], None),
        ("sr", ["hr"], None),
        ("bs", ["hr"], None),
        ("lb", ["de"], None),
        ("und", ["en"], None),
        ("nn", ["nb", "no"], None),
        ("pt-PT", ["pt-BR", "pt"], "pt"),
        ("cmn", ["zh"], "zh"),
        ("en", [], None),
    ],
)
def test_a_near_code_answers_and_another_language_does_not(wanted: str, served: list[str], match: str | None) -> None:
    assert match_code(wanted, served) == match
    assert CodeIndex(served).near(wanted)[:1] == ([match] if match else [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The committee will meet again on Tuesday to discuss the results.", "en"),
        ("A comissão voltará a reunir-se na terça-feira para discutir os resultados.", "pt"),
        ("Die Kommission tagt am Dienstag wieder, um die Ergebnisse zu besprechen.", "de"),
        ("委员会将于星期二再次开会讨论结果。", "zh"),
    ],
)
def test_sentences_are_detected_reliably(detector: LanguageDetector, text: str, code: str) -> None:
    found = detector.detect(text)
    assert found.reliable
    assert found.best.code == code
    assert sum(candidate.confidence for candidate in found.candidates) <= 1.0 + 1e-6


@pytest.mark.parametrize("text", ["", "  \n", "12345", "!?", "😀"])
def test_text_without_letters_has_no_language(detector: LanguageDetector, text: str) -> None:
    found = detector.detect(text)
    assert found.candidates == ()
    assert not found.reliable
    assert found.best.code == "und"


def test_a_word_is_not_enough_to_rely_on(detector: LanguageDetector) -> None:
    assert not detector.detect("ok").reliable


def test_candidates_are_all_there_is_to_choose_from(detector: LanguageDetector) -> None:
    found = detector.detect("Bom dia", ["en", "pt-BR"])
    assert [candidate.code for candidate in found.candidates] == ["pt-BR", "en"]
    assert sum(candidate.confidence for candidate in found.candidates) == pytest.approx(1.0)


def test_a_candidate_that_the_detector_does_not_know_is_never_found(detector: LanguageDetector) -> None:
    assert detector.detect("Bom dia", ["tlh"]).candidates == ()


def test_a_long_text_is_told_by_samples_of_all_of_it(detector: LanguageDetector) -> None:
    text = "1234 " * 500 + "Die Kommission tagt am Dienstag wieder. " * 20_000
    assert detector.detect(text).best.code == "de"


@pytest.mark.parametrize("code", ["en-x-" + "-".join(["abcdefgh"] * 10), "en-u-co-phonebk", "x-private"])
def test_codes_that_could_be_without_end_are_refused(code: str) -> None:
    with pytest.raises(ValueError, match="BCP-47"):
        normalize_code(code)


def test_confidence_can_be_kept_among_all_languages(detector: LanguageDetector) -> None:
    among = detector.detect("Bom dia", ["en", "pt"], only=False)
    assert sum(candidate.confidence for candidate in among.candidates) < 0.5
