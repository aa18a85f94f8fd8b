"""Canary: runs a test sentence through a model that was just loaded, and checks the output.

A model that loads without an error may still have the wrong weights, or weights that do not match its vocabulary.
"""

from __future__ import annotations

from typing import cast

from latimer_server.backends.protocol import Backend, GeneratorBackend, RankerBackend
from latimer_server.core.decoding import DecodingOptions, LanguagePair
from latimer_server.core.errors import ModelError
from latimer_server.core.languages import match_code, primary_subtag
from latimer_server.core.scripts import DENSE_LANGUAGES, UNSPACED_LANGUAGES
from latimer_server.models.catalog.catalog import CatalogEntry, Task
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.segmentation import Splitting, segment_text

# The lowest and highest plausible length of a canary's translation, as a multiple of its source's, in characters.
_SANE_LENGTHS = (0.3, 3.0)
# Languages whose texts need fewer characters: 7 in Chinese correspond to 30 in English. If the source or the target is
# one of them, the wider bounds below apply.
_DENSE = DENSE_LANGUAGES | UNSPACED_LANGUAGES
_SANE_DENSE_LENGTHS = (0.08, 12.0)
# A bound on the tokens of a summarizer's output for its canary.
_SUMMARY_TOKENS = 24
# Target languages that the language detector recognizes reliably. If the model writes several, the canary is translated
# into the first of these.
_WELL_DETECTED = ("en", "fr", "de", "es", "ru", "pt", "it")


def run_canary(entry: CatalogEntry, backend: Backend, detector: LanguageDetector) -> None:
    """Runs the canary of an entry; does nothing if the entry has none. Raises `ModelError` if the output is wrong.

    A ranker's order must have each sentence of the canary once. A summary must contain a letter. The translation of
    each sentence must have a plausible length, and all together must be in the target language, if the detector knows
    it.
    """
    if not entry.canary:
        return
    language = _find_language(entry, detector)
    sentences = segment_text(entry.canary, Splitting.SENTENCES, language).segments
    if entry.ranks:
        ranking = cast(RankerBackend, backend).rank(sentences, _never)
        if sorted(ranking.order) != list(range(len(sentences))):
            raise ModelError("its canary failed: the ranking does not contain each sentence once")
        return
    if entry.task is Task.SUMMARIZATION:
        _check_summary(entry.canary, LanguagePair(language), cast(GeneratorBackend, backend))
        return
    _check_translation(entry, cast(GeneratorBackend, backend), sentences, language, detector)


def _find_language(entry: CatalogEntry, detector: LanguageDetector) -> str:
    """Returns the language of the canary, which the entry does not state.

    It is the model's only source language, else the detected one, else the first; "en" if the entry lists none.
    """
    if len(entry.source_languages) < 2:
        return entry.source_languages[0] if entry.source_languages else "en"
    detection = detector.detect(entry.canary, entry.source_languages)
    return detection.best.code if detection.candidates else entry.source_languages[0]


def _choose_target(entry: CatalogEntry, source: str) -> str:
    """Returns the target language for the canary: one other than `source` and reliably detected, if possible."""
    served = [code for code in entry.target_languages if code != source] or list(entry.target_languages)
    return next((code for code in _WELL_DETECTED if code in served), served[0]) if len(served) > 1 else served[0]


def _check_summary(text: str, languages: LanguagePair, backend: GeneratorBackend) -> None:
    """Lets the model write a short summary of `text`, with greedy search.

    Raises `ModelError` if the summary contains no letter. Its quality is not checked.
    """
    (encoding,) = backend.encode([text], languages)
    options = DecodingOptions(beam_size=1, max_output_tokens=_SUMMARY_TOKENS)
    (hypothesis,) = backend.run([encoding.ids], options, _never)
    (output,) = backend.decode([hypothesis.ids])
    if not any(character.isalpha() for character in output):
        raise ModelError(f"its canary of {len(text)} characters came out without a letter")


def _check_translation(
    entry: CatalogEntry, backend: GeneratorBackend, sentences: list[str], source: str, detector: LanguageDetector
) -> None:
    languages = LanguagePair(source, _choose_target(entry, source))
    rows = [encoding.ids for encoding in backend.encode(sentences, languages)]
    hypotheses = backend.run(rows, DecodingOptions(target=languages.target), _never)
    outputs = backend.decode([hypothesis.ids for hypothesis in hypotheses])
    dense = any(primary_subtag(code) in _DENSE for code in (languages.source, languages.target))
    low, high = _SANE_DENSE_LENGTHS if dense else _SANE_LENGTHS
    for sentence, output in zip(sentences, outputs, strict=True):
        if not low * len(sentence) <= len(output) <= high * len(sentence):
            raise ModelError(f"its canary of {len(sentence)} characters came out with {len(output)}")
    text = " ".join(outputs)
    if not detector.detect(text, [languages.target]).candidates:
        return  # the detector does not support the target language
    # The target comes first: of two candidates with the same label (pt, pt-BR) the detector reports the first.
    detection = detector.detect(text, (languages.target, source, *entry.source_languages, *entry.target_languages))
    is_wrong = not match_code(detection.best.code, [languages.target])
    if is_wrong and (detection.reliable or detection.best.code == source):
        raise ModelError(f"its canary came out in {detection.best.code}, not in {languages.target}")


def _never() -> bool:
    return False
