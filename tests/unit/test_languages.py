"""Tests of language codes (BCP-47, matched by CLDR) and of language detection, including short and empty text."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from latimer_server.core.languages import CodeIndex, match_code, normalize_code, primary_subtag
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.ngrams.table import read_table

DATA = Path(__file__).parent.parent / "data"
SIX = ["en", "pt", "es", "fr", "de", "it"]
# The Portuguese handbook has passages that are not translated.
ENGLISH = re.compile(r"\b(the|of|and|that|this|those|with|is|are|to|for)\b", re.IGNORECASE)
UNICODE = st.text(st.characters(codec=None))  # includes lone surrogates


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector()


@pytest.mark.parametrize(
    ("code", "canonical"), [("EN_us", "en-US"), ("por", "pt"), ("iw", "he"), ("zh-hant-tw", "zh-Hant-TW"), ("pt", "pt")]
)
def test_codes_become_canonical(code: str, canonical: str) -> None:
    assert normalize_code(code) == canonical


@pytest.mark.parametrize(("code", "subtag"), [("pt-BR", "pt"), ("PT", "pt"), ("zh-Hant-TW", "zh"), ("", "")])
def test_the_primary_subtag_is_the_language_of_a_code(code: str, subtag: str) -> None:
    assert primary_subtag(code) == subtag


@pytest.mark.parametrize("code", ["", "x", "xx", "english", "en--us", "日本", "en\n", "e" * 500, "\x00"])
def test_an_invalid_code_is_refused(code: str) -> None:
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
def test_a_close_code_matches_and_another_language_does_not(wanted: str, served: list[str], match: str | None) -> None:
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


@pytest.mark.parametrize("text", ["ok", "Bom dia"])
def test_one_or_two_words_are_not_reliable(detector: LanguageDetector, text: str) -> None:
    assert not detector.detect(text).reliable


def test_only_candidates_are_detected(detector: LanguageDetector) -> None:
    found = detector.detect("Bom dia", ["en", "pt-BR"])
    assert [candidate.code for candidate in found.candidates] == ["pt-BR", "en"]
    assert sum(candidate.confidence for candidate in found.candidates) == pytest.approx(1.0)


def test_of_two_candidates_for_one_language_the_first_is_detected(detector: LanguageDetector) -> None:
    assert [candidate.code for candidate in detector.detect("Bom dia", ["pt-PT", "pt-BR"]).candidates] == ["pt-PT"]


def test_a_candidate_that_the_detector_does_not_know_is_never_found(detector: LanguageDetector) -> None:
    assert detector.detect("Bom dia", ["tlh"]).candidates == ()


def test_a_long_text_is_detected_by_samples_of_all_its_parts(detector: LanguageDetector) -> None:
    text = "1234 " * 500 + "Die Kommission tagt am Dienstag wieder. " * 20_000
    assert detector.detect(text).best.code == "de"


@pytest.mark.parametrize("code", ["en-x-" + "-".join(["abcdefgh"] * 10), "en-u-co-phonebk", "x-private"])
def test_overlong_codes_are_refused(code: str) -> None:
    with pytest.raises(ValueError, match="BCP-47"):
        normalize_code(code)


def test_confidence_can_be_measured_among_all_languages(detector: LanguageDetector) -> None:
    among = detector.detect("Bom dia", ["en", "pt"], only=False)
    assert sum(candidate.confidence for candidate in among.candidates) < 0.5


def read_sentences() -> list[tuple[str, str]]:
    """Returns real sentences that detection was not tuned on."""
    return [
        (text, code)
        for code in ("en", "pt")
        for text in (DATA / f"handbook.{code}.txt").read_text(encoding="utf-8").splitlines()
        if len(text.split()) >= 5 and (code == "en" or not ENGLISH.search(text))
    ]


def cut_phrases() -> list[tuple[str, str]]:
    """Returns three words of each sentence, without names and numbers."""
    draw = random.Random(3)
    phrases = []
    for text, code in read_sentences():
        words = text.split()
        start = draw.randrange(len(words) - 2)
        phrase = words[start : start + 3]
        if all(word.isalpha() for word in phrase) and sum(word[0].islower() for word in phrase) >= 2:
            phrases.append((" ".join(phrase), code))
    return phrases


@pytest.mark.parametrize("among", [["en", "pt"], SIX])
def test_most_sentences_and_phrases_of_three_words_are_detected(detector: LanguageDetector, among: list[str]) -> None:
    for cases, least in ((read_sentences(), 0.99), (cut_phrases(), 0.93)):
        assert len(cases) > 150
        right = [detector.detect(text, among).best.code == code for text, code in cases]
        assert sum(right) / len(right) >= least


@pytest.mark.parametrize("among", [["en", "pt"], SIX, []])
def test_reliable_detections_are_right(detector: LanguageDetector, among: list[str]) -> None:
    found = [(detector.detect(text, among), code) for text, code in read_sentences() + cut_phrases()]
    relied = [detection.best.code == code for detection, code in found if detection.reliable]
    assert len(relied) / len(found) > 0.6
    assert sum(relied) / len(relied) >= 0.98


@pytest.mark.parametrize(
    "text",
    [
        "The committee will meet again on Tuesday a comissão voltará a reunir-se na terça-feira",
        "Bom dia a todos, obrigado pela ajuda. Thank you all for your help, see you tomorrow.",
        "A ponte está fechada até segunda-feira. The bridge is closed until Monday.",
    ],
)
@pytest.mark.parametrize("among", [["en", "pt"], SIX, []])
def test_a_text_in_two_languages_is_not_reliable(detector: LanguageDetector, text: str, among: list[str]) -> None:
    assert not detector.detect(text, among).reliable


def test_a_long_text_that_ends_in_another_language_is_not_reliable(detector: LanguageDetector) -> None:
    text = "The bridge is closed until Monday. " * 500 + "A ponte está fechada até segunda-feira. " * 300
    assert not detector.detect(text, ["en", "pt"]).reliable


@pytest.mark.parametrize("text", ["Total", "Error", "Debian", "ok", "Kerberos NFS LDAP"])
def test_words_of_both_languages_are_not_reliable(detector: LanguageDetector, text: str) -> None:
    assert not detector.detect(text, ["en", "pt"]).reliable


def test_a_repeated_word_counts_as_one_word(detector: LanguageDetector) -> None:
    again = detector.detect("total " * 50, ["en", "pt"])
    assert again.best.confidence == pytest.approx(detector.detect("total", ["en", "pt"]).best.confidence, abs=0.01)
    assert not again.reliable


@pytest.mark.parametrize(
    "text", ["Die Kommission tagt am Dienstag wieder.", "委员会将于星期二再次开会。", "Комиссия соберётся во вторник."]
)
def test_a_text_in_none_of_the_candidates_is_not_reliable(detector: LanguageDetector, text: str) -> None:
    found = detector.detect(text, ["en", "pt"])
    assert len(found.candidates) == 2
    assert not found.reliable


def test_addresses_and_placeholders_are_ignored(detector: LanguageDetector) -> None:
    text = (
        "https://example.com/with/all/of/the/best {the_user_name} %(of_the_day)s me@the-best-of.example reunião adiada"
    )
    found = detector.detect(text, ["en", "pt"])
    assert found.best == detector.detect("reunião adiada", ["en", "pt"]).best
    assert found.best.code == "pt"
    alone = detector.detect("https://example.com/with/all/of/the/best")
    assert alone.candidates
    assert not alone.reliable
    assert not detector.detect("https://example.com/with/all/of/the/best", ["en", "pt"]).reliable


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A comisión volverá reunirse o martes para falar dos resultados, e despois haberá unha festa.", "gl"),
        ("Komite akan bertemu lagi pada hari Selasa untuk membahas hasilnya.", "id"),
        ("La komitato denove kunvenos marde por diskuti la rezultojn.", "eo"),
        ("Eg veit ikkje kva dei skal gjere med husa sine no.", "nn"),
    ],
)
def test_languages_that_the_table_does_not_have_are_found(detector: LanguageDetector, text: str, code: str) -> None:
    assert detector.detect(text).best.code == code
    assert detector.detect(text, ["en", "pt", code]).best.code == code
    assert detector.detect(text, [code]).best.code == code


def test_every_language_of_the_table_is_known_to_py3langid() -> None:
    known = LanguageIdentifier.from_model_file(MODEL_FILE).labels
    assert set(read_table().languages) <= set(known)


def test_unneeded_libraries_are_not_loaded() -> None:
    code = """if True:
        import sys
        from latimer_server.text.detection import LanguageDetector
        detector = LanguageDetector()
        print([name in sys.modules for name in ("latimer_server.text.ngrams.table", "numpy", "py3langid")])
        detector.detect("Bom dia", ["en", "pt-BR"])
        detector.is_written_in("A ponte está fechada até segunda-feira.", "pt")
        print([name in sys.modules for name in ("latimer_server.text.ngrams.table", "numpy", "py3langid")])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[False, False, False]", "[True, True, False]"]


@given(UNICODE, st.lists(st.sampled_from(["en", "pt", "pt-BR", "zh", "gl", "tlh", "ms"]), max_size=4), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_text_has_confidences_that_sum_to_one_at_most(text: str, among: list[str], only: bool) -> None:
    found = SHARED.detect(text, among, only=only)
    assert len(found.candidates) <= 5
    confidences = [candidate.confidence for candidate in found.candidates]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) <= 1 + 1e-6
    assert SHARED.is_written_in(text, "pt") in (True, False, None)


SHARED = LanguageDetector()


def test_the_first_detection_among_languages_that_the_table_lacks_is_announced_as_long() -> None:
    detector = LanguageDetector()
    assert detector.loads_model()
    assert detector.loads_model(["en", "gl", "gd"])
    assert not detector.loads_model(["en", "pt-BR"])
    detector.detect("Bom dia", ["en", "pt-BR"])
    assert detector.loads_model()
    detector.detect("Bom dia")
    assert not detector.loads_model()
    assert not detector.loads_model(["en", "gd"])


@pytest.mark.parametrize("text", ["\x00" * 50, "não\x00 The bridge is closed", "\ud800 bom dia \udfff a todos"])
def test_texts_with_nul_and_surrogates_are_detected(detector: LanguageDetector, text: str) -> None:
    found = detector.detect(text, ["en", "pt"])
    assert found.best.code == ("und" if not text.strip("\x00") else "en" if "bridge" in text else "pt")


def test_threads_detect_independently() -> None:
    detector = LanguageDetector()
    cases = [(text, tuple(among)) for text, _ in read_sentences()[:100] for among in (SIX, ["en", "pt"], ["fr", "gl"])]
    alone = [LanguageDetector().detect(*cases[0])] + [SHARED.detect(*case) for case in cases[1:]]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda case: detector.detect(*case), cases)) == alone


def test_outputs_in_their_language_are_accepted(detector: LanguageDetector) -> None:
    found = [detector.is_written_in(text, code) for text, code in read_sentences()]
    assert found.count(False) / len(found) < 0.003
    assert found.count(True) / len(found) > 0.95


def test_outputs_in_the_other_language_are_found(detector: LanguageDetector) -> None:
    found = [detector.is_written_in(text, "pt" if code == "en" else "en") for text, code in read_sentences()]
    assert found.count(False) / len(found) > 0.95


@pytest.mark.parametrize(
    ("text", "code", "written"),
    [
        ("A ponte está fechada até segunda-feira.", "pt-BR", True),
        ("A ponte está fechada até segunda-feira.", "en", False),
        ("Bom dia", "en", None),
        ("", "en", None),
        ("1 2 3 4 5 6 7", "en", None),
        ("https://a.example/1 https://b.example/2 {c} {d} {e} {f}", "en", None),
        ("A ponte está fechada até segunda-feira.", "tlh", None),
        ("A ponte está fechada até segunda-feira.", "gl", None),
        ("Komite akan bertemu lagi pada hari Selasa untuk membahas hasilnya.", "ms", None),
        ("委员会将于星期二再次开会讨论结果。", "en", False),
        ("委员会将于星期二再次开会讨论结果。", "zh", True),
    ],
)
def test_whether_an_output_is_written_in_its_language(
    detector: LanguageDetector, text: str, code: str, written: bool | None
) -> None:
    assert detector.is_written_in(text, code) is written
