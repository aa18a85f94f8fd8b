"""The use case: texts in, short summaries out. Document to sentences to ranking to selection.

Knows no gRPC and no model library. A summary in another language goes through the translator, sentence by
sentence. One bad item never fails its neighbours.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from latimer_server.backends import base
from latimer_server.errors import DeadlineExceeded, LatimerError, NotServed
from latimer_server.languages import UNDETERMINED, Candidate, LanguageDetector, match_code
from latimer_server.models.catalog import CatalogEntry, Task
from latimer_server.models.pool import Pool
from latimer_server.pieces import Usage
from latimer_server.scheduling import gather_or_cancel, off_loop, weigh_texts
from latimer_server.text.checks import Flag, merge_flags
from latimer_server.text.segmentation import (
    Splitting,
    TextSpan,
    join_lines,
    needs_translation,
    segment_text,
)
from latimer_server.translation import TranslateOptions, TranslateRequest, Translator

_log = logging.getLogger(__name__)

# A sentence is a fair candidate if it ends like one; titles, list items and captions do not.
_SENTENCE_ENDS = tuple(".!?…。！？।؟۔։")
_CLOSING = "\"'”’»)]」』"
# Items of a request in work at once, so that no turn of the event loop is long.
_ITEMS_AT_ONCE = 8
_UNSPACED_LANGUAGES = ("zh", "ja", "th", "lo", "km", "my")


class SummaryMode(Enum):
    """How a summary is made."""

    EXTRACTIVE = "extractive"


@dataclass(frozen=True)
class LengthLimit:
    """How long a summary may be: exactly one of these is set. `ratio`: share of the source's words."""

    sentence_count: int | None = None
    max_words: int | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class SummarizeRequest:
    """Texts and what to make of them. `language` "" detects; `deadline` reads the monotonic clock."""

    contents: tuple[str, ...]
    language: str
    output_language: str
    limit: LengthLimit
    model: str = ""
    fallback: str = ""
    deadline: float | None = None


@dataclass(frozen=True)
class SummarySentence:
    """A sentence of a summary, where it stands there, and what supports it in the content."""

    text: str
    summary_span: TextSpan
    rank_score: float
    source_spans: tuple[TextSpan, ...]


@dataclass(frozen=True)
class Summary:
    """The summary of one content, or the error that it met. `detected`: None when the language was given."""

    text: str
    language: str
    detected: Candidate | None = None
    mode: SummaryMode = SummaryMode.EXTRACTIVE
    sentences: tuple[SummarySentence, ...] = ()
    flags: tuple[Flag, ...] = ()
    models: tuple[str, ...] = ()
    input_coverage: float = 1.0
    error: LatimerError | None = None


@dataclass(frozen=True)
class _Sentence:
    text: str
    span: TextSpan
    score: float


class Summarizer:
    """Summarizes requests with the models of a pool."""

    def __init__(self, pool: Pool, detector: LanguageDetector, translator: Translator) -> None:
        self._pool = pool
        self._detector = detector
        self._translator = translator

    async def summarize(self, request: SummarizeRequest) -> tuple[list[Summary], Usage]:
        """One summary for each content, in order.

        Raises `NotServed` for a model that there is not or that does not summarize, and for a pair of
        given languages that no model translates; `DeadlineExceeded` when its time is over.
        """
        entry = self._choose_model(request.model)
        usage = Usage()
        if request.language and request.output_language:
            self._translator.require_route(request.language, request.output_language)
        slots = asyncio.Semaphore(_ITEMS_AT_ONCE)

        async def summarize_item(content: str) -> Summary:
            async with slots:
                return await self._summarize_item(request, content, entry, usage)

        return await gather_or_cancel(summarize_item(content) for content in request.contents), usage

    def _choose_model(self, name: str) -> CatalogEntry:
        usable = self._pool.usable(Task.SUMMARIZATION)
        if name:
            entry = self._pool.catalog.get(name)
            if entry.task is not Task.SUMMARIZATION:
                raise NotServed(f"model {name} does not summarize; served: {', '.join(e.name for e in usable)}")
            return entry
        if not usable:
            raise NotServed("no summarization model is served")
        return usable[0]

    async def _summarize_item(
        self, request: SummarizeRequest, content: str, entry: CatalogEntry, usage: Usage
    ) -> Summary:
        usage.characters += len(content)
        language: str = request.language
        detected: Candidate | None = None
        flags: tuple[Flag, ...] = ()
        try:
            if not language:
                language, detected, flags = await self._detect(request, content)
            summary = await self._extract(content, language, request.limit, entry.name, usage)
            summary = replace(summary, detected=detected, flags=merge_flags([summary.flags, flags]))
            if summary.sentences and request.output_language and not match_code(language, [request.output_language]):
                summary = await self._translate(summary, request, usage)
            return summary
        except DeadlineExceeded:
            raise
        except LatimerError as error:
            return Summary("", request.output_language or language, detected, flags=flags, error=error)
        except Exception as error:  # noqa: BLE001 (one item's failure is its own)
            _log.exception("item failed", extra={"models": (entry.name,)})
            internal = LatimerError("internal error")
            internal.__cause__ = error
            return Summary("", request.output_language or language, detected, error=internal)

    async def _detect(self, request: SummarizeRequest, content: str) -> tuple[str, Candidate, tuple[Flag, ...]]:
        if request.output_language:
            # The summary will be translated, so the translator says what it would read the text as.
            options = TranslateOptions(fallback=request.fallback)
            asked = TranslateRequest((content,), "", (request.output_language,), options=options)
            (source,) = await off_loop(weigh_texts([content]), lambda: self._translator.find_sources(asked))
            best = source.detected or Candidate(UNDETERMINED, 0.0)
            return source.code or UNDETERMINED, best, source.flags
        found = (await self._translator.detect([content], ()))[0]
        if found.reliable or not needs_translation(content):
            return found.best.code, found.best, ()
        return request.fallback or found.best.code, found.best, (Flag.LOW_LANGUAGE_CONFIDENCE,)

    async def _extract(self, content: str, language: str, limit: LengthLimit, model: str, usage: Usage) -> Summary:
        document = await off_loop(
            len(content), lambda: segment_text(content, Splitting.SENTENCES_ACROSS_LINES, language)
        )
        texts = await off_loop(len(content), lambda: [join_lines(segment) for segment in document.segments])
        usage.segments += len(texts)
        kept = await off_loop(len(content), lambda: choose_candidates(texts))
        async with self._pool.hold_ranker(model) as loaded:
            ranking = await self._pool.permits.run(
                lambda: lambda: loaded.backend.rank([texts[index] for index in kept], lambda: False)
            )
        if ranking is None or not kept:
            return Summary("", language, models=(model,))
        words = await off_loop(len(content), lambda: [_count_words(text, language) for text in texts])
        chosen = _select(ranking, [words[index] for index in kept], sum(words), limit)
        sentences = [_Sentence(texts[kept[i]], document.spans[kept[i]], ranking.scores[i]) for i in sorted(chosen)]
        return _compose(sentences, language, (model,))

    async def _translate(self, summary: Summary, request: SummarizeRequest, usage: Usage) -> Summary:
        """The summary in the output language; what supports each sentence stays what it was."""
        results, translating = await self._translator.translate(
            TranslateRequest(
                contents=tuple(sentence.text for sentence in summary.sentences),
                source=summary.language,
                targets=(request.output_language,),
                options=TranslateOptions(splitting=Splitting.NONE),
                deadline=request.deadline,
            )
        )
        usage.add(translating)
        translations = [result.translations[0] for result in results]
        for translation in translations:
            if translation.error:
                raise translation.error
        sentences = [
            _Sentence(translation.text, old.source_spans[0], old.rank_score)
            for translation, old in zip(translations, summary.sentences, strict=True)
        ]
        target = translations[0].target if translations else request.output_language
        models = translations[0].models if translations else ()
        flags = merge_flags([summary.flags, *(translation.flags for translation in translations)])
        composed = _compose(sentences, target, summary.models + models)
        return replace(composed, detected=summary.detected, flags=flags)


def choose_candidates(texts: Sequence[str]) -> list[int]:
    """The indices of what may stand in a summary: whole sentences, or whatever has letters where there are none."""
    lettered = [index for index, text in enumerate(texts) if needs_translation(text)]
    whole = [index for index in lettered if texts[index].rstrip(_CLOSING).endswith(_SENTENCE_ENDS)]
    return whole or lettered


def _select(ranking: base.Ranking, words: Sequence[int], total: int, limit: LengthLimit) -> list[int]:
    """As many sentences, in the ranking's order, as the limit allows."""
    if limit.sentence_count is not None:
        return list(ranking.order[: limit.sentence_count])
    budget = limit.max_words if limit.max_words is not None else math.floor((limit.ratio or 0) * total)
    chosen = []
    for index in ranking.order:
        if words[index] <= budget:
            chosen.append(index)
            budget -= words[index]
    return chosen or (list(ranking.order[:1]) if limit.ratio is not None else [])


def _count_words(text: str, language: str) -> int:
    """Words; in scripts written without spaces, characters that are letters or digits."""
    if language.split("-")[0] in _UNSPACED_LANGUAGES:
        return sum(character.isalnum() for character in text)
    return len(text.split())


def _compose(sentences: Sequence[_Sentence], language: str, models: tuple[str, ...]) -> Summary:
    separator = "" if language.split("-")[0] in _UNSPACED_LANGUAGES else " "
    parts: list[SummarySentence] = []
    position = 0
    for sentence in sentences:
        span = TextSpan(position, position + len(sentence.text))
        parts.append(SummarySentence(sentence.text, span, sentence.score, (sentence.span,)))
        position = span.end + len(separator)
    text = separator.join(sentence.text for sentence in sentences)
    return Summary(text, language or UNDETERMINED, sentences=tuple(parts), models=models)
