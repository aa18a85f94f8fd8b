"""Tries a model that was just loaded: a sentence or two of its own catalogue entry must come out well.

A model that loads without an error may still be the wrong one. Knows backends only by their Protocol.
"""

from __future__ import annotations

from typing import cast

from latimer_server.backends.protocol import Backend, GeneratorBackend, RankerBackend
from latimer_server.core.decoding import DecodingOptions, LanguagePair
from latimer_server.core.errors import ModelError
from latimer_server.core.languages import match_code
from latimer_server.core.scripts import DENSE_LANGUAGES, UNSPACED_LANGUAGES
from latimer_server.models.catalog.catalog import CatalogEntry, Task
from latimer_server.text.detection import LanguageDetector
from latimer_server.text.segmentation import Splitting, segment_text

# An output beyond these shares of its source's length is no translation.
_SANE_LENGTHS = (0.3, 3.0)
# Seven characters of Chinese are thirty of English; unspaced scripts get the same range.
_DENSE = DENSE_LANGUAGES | UNSPACED_LANGUAGES
_SANE_DENSE_LENGTHS = (0.08, 12.0)
_SUMMARY_TOKENS = 24
_WELL_KNOWN = ("en", "fr", "de", "es", "ru", "pt", "it")


def run_canary(entry: CatalogEntry, backend: Backend, detector: LanguageDetector) -> None:
    """Runs the entry's canary; without one there is nothing to try. Raises `ModelError` saying what is wrong."""
    if not entry.canary:
        return
    language = _find_language(entry, detector)
    sentences = segment_text(entry.canary, Splitting.SENTENCES, language).segments
    if entry.ranks:
        ranking = cast(RankerBackend, backend).rank(sentences, _never)
        if sorted(ranking.order) != list(range(len(sentences))):
            raise ModelError("its canary was not ranked")
        return
    if entry.task is Task.SUMMARIZATION:
        _try_summary(entry.canary, LanguagePair(language), cast(GeneratorBackend, backend))
        return
    _try_translation(entry, cast(GeneratorBackend, backend), sentences, language, detector)


def _find_language(entry: CatalogEntry, detector: LanguageDetector) -> str:
    """The language of the canary, where the model reads several and nothing says which."""
    if len(entry.source_languages) < 2:
        return entry.source_languages[0] if entry.source_languages else "en"
    found = detector.detect(entry.canary, entry.source_languages)
    return found.best.code if found.candidates else entry.source_languages[0]


def _choose_target(entry: CatalogEntry, source: str) -> str:
    """A language to write, if possible one that is told from others with ease."""
    served = [code for code in entry.target_languages if code != source] or list(entry.target_languages)
    return next((code for code in _WELL_KNOWN if code in served), served[0]) if len(served) > 1 else served[0]


def _try_summary(text: str, languages: LanguagePair, backend: GeneratorBackend) -> None:
    """Greedily and of one line: whether words come out, not whether they are good ones."""
    (encoding,) = backend.encode([text], languages)
    options = DecodingOptions(beam_size=1, max_output_tokens=_SUMMARY_TOKENS)
    (hypothesis,) = backend.run([encoding.ids], options, _never)
    (output,) = backend.decode([hypothesis.ids])
    if not any(character.isalpha() for character in output):
        raise ModelError(f"its canary of {len(text)} characters came out without a letter")


def _try_translation(
    entry: CatalogEntry, backend: GeneratorBackend, sentences: list[str], source: str, detector: LanguageDetector
) -> None:
    languages = LanguagePair(source, _choose_target(entry, source))
    rows = [encoding.ids for encoding in backend.encode(sentences, languages)]
    hypotheses = backend.run(rows, DecodingOptions(target=languages.target), _never)
    outputs = backend.decode([hypothesis.ids for hypothesis in hypotheses])
    dense = any(code.split("-")[0] in _DENSE for code in (languages.source, languages.target))
    low, high = _SANE_DENSE_LENGTHS if dense else _SANE_LENGTHS
    for sentence, output in zip(sentences, outputs, strict=True):
        if not low * len(sentence) <= len(output) <= high * len(sentence):
            raise ModelError(f"its canary of {len(sentence)} characters came out with {len(output)}")
    text = " ".join(outputs)
    if not detector.detect(text, [languages.target]).candidates:
        return  # a language that the detector does not know
    # Of two candidates with one label (pt, pt-BR) the first one named is found.
    found = detector.detect(text, (languages.target, source, *entry.source_languages, *entry.target_languages))
    astray = not match_code(found.best.code, [languages.target])
    if astray and (found.reliable or found.best.code == source):
        raise ModelError(f"its canary came out in {found.best.code}, not in {languages.target}")


def _never() -> bool:
    return False
