"""Tests of the canary: a model's test translation must be in its target language and about as long as the source."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from latimer_server.backends.protocol import Encoding
from latimer_server.core.decoding import LanguagePair
from latimer_server.core.errors import ModelError
from latimer_server.models.catalog.catalog import CatalogEntry
from latimer_server.models.pool.canary import run_canary
from latimer_server.text.detection import LanguageDetector
from tests.fakes import EchoBackend, make_entry

ENGLISH = "The weather is nice today. We are going to the park with our friends."
SENTENCES = {
    "pt": "O tempo está bom hoje e vamos ao parque.",
    "fr": "Il fait beau et nous allons au parc avec des amis.",
    "de": "Das Wetter ist heute schön und wir gehen in den Park.",
    "acm": "An invented language.",
}
ANY = LanguagePair()


class Speaker(EchoBackend):
    """A model that always outputs the same sentence, in the requested language or in `always`."""

    def __init__(self, always: str = "") -> None:
        super().__init__()
        self.always = always
        self.requested: set[LanguagePair] = set()

    def encode(self, texts: Sequence[str], languages: LanguagePair = ANY) -> list[Encoding]:
        self.requested.add(languages)
        return super().encode([SENTENCES[self.always or languages.target] for _ in texts], languages)


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector()


def make_model(sources: Sequence[str], targets: Sequence[str], canary: str = ENGLISH) -> CatalogEntry:
    languages = {"source_languages": tuple(sources), "target_languages": tuple(targets)}
    return make_entry("model", "en", "en", canary=canary).model_copy(update=languages)


def test_a_multilingual_model_is_tested_with_a_target_that_is_easy_to_detect(
    detector: LanguageDetector,
) -> None:
    speaker = Speaker()
    run_canary(make_model(["af", "en", "pt"], ["acm", "de", "fr", "pt"]), speaker, detector)
    assert speaker.requested == {LanguagePair("en", "fr")}


def test_a_model_that_writes_another_language_than_requested_is_refused(detector: LanguageDetector) -> None:
    with pytest.raises(ModelError, match="its canary came out in de, not in fr"):
        run_canary(make_model(["en"], ["de", "fr", "pt"]), Speaker(always="de"), detector)


def test_variants_of_one_language_are_accepted(detector: LanguageDetector) -> None:
    run_canary(make_model(["en"], ["pt-BR", "pt"]), Speaker(always="pt"), detector)


def test_a_language_that_cannot_be_detected_is_not_checked(detector: LanguageDetector) -> None:
    run_canary(make_model(["en"], ["acm"], canary="An old bridge is closed."), Speaker(), detector)


def test_an_output_of_an_impossible_length_is_refused(detector: LanguageDetector) -> None:
    with pytest.raises(ModelError, match="its canary of 4 characters came out with 50"):
        run_canary(make_model(["en"], ["fr"], canary="Yes."), Speaker(always="fr"), detector)
