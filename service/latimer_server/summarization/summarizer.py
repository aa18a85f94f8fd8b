"""Summarizer: summarizes requests. Splits contents into sentences, ranks them, and extracts or generates a summary.

Imports neither gRPC nor a model library. The translator translates contents in a language that the model does not read,
and summaries into the requested output language. An error of one item does not affect other items.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import DeadlineExceeded, InvalidRequest, LatimerError, NotServed, Overloaded, Violation
from latimer_server.core.flags import Flag, merge_flags
from latimer_server.core.languages import UNDETERMINED, match_code
from latimer_server.core.usage import Usage
from latimer_server.models.catalog.catalog import CatalogEntry, Task
from latimer_server.models.pool.pool import ModelPool
from latimer_server.scheduling import Priority, TextWork, gather_or_cancel
from latimer_server.summarization.composition import (
    LengthLimit,
    SelectedSentence,
    Sentence,
    Summary,
    SummaryMode,
    SummarySource,
    compose_summary,
    count_words,
    take_within,
)
from latimer_server.summarization.extraction import RankedSentences, copy_sentences, extract_sentences, rank_sentences
from latimer_server.summarization.generation import GeneratedSummary, shorten_sentences, write_summary
from latimer_server.text.detection import Candidate, LanguageDetector
from latimer_server.text.segmentation import Splitting, join_lines, needs_translation, segment_text
from latimer_server.translation.model_run import ModelRunOptions
from latimer_server.translation.requests import ItemResult, TranslateOptions, TranslateRequest, Translation
from latimer_server.translation.translator import Translator

_log = logging.getLogger(__name__)

# Contents of one request that are summarized at a time, which keeps each turn of the event loop short.
_ITEMS_AT_ONCE = 8
# Most sentences in one request to the translator, which bounds the size of that request for a long document.
_SENTENCES_AT_ONCE = 1_024


@dataclass(frozen=True)
class SummarizeRequest:
    """The contents of one request, its languages and its options.

    `language` is a BCP-47 code; "" detects the language of each content. `output_language` "" keeps that language.
    `mode` None is ABSTRACTIVE if `model` names a model that generates text, otherwise EXTRACTIVE. `model` "" selects
    the best usable one. `fallback` is the language of contents whose detection is unreliable. `deadline` is a reading
    of the monotonic clock in seconds. Requests with the same `caller` share one turn in the queues.
    """

    contents: tuple[str, ...]
    language: str
    output_language: str
    limit: LengthLimit
    mode: SummaryMode | None = None
    model: str = ""
    fallback: str = ""
    decoding: DecodingOptions = DecodingOptions()
    deadline: float | None = None
    caller: Hashable = None


@dataclass(frozen=True)
class _Plan:
    """The models for a request: a ranker, and the generators that the mode may use, best first."""

    mode: SummaryMode
    ranker: CatalogEntry
    generators: tuple[CatalogEntry, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the generators read."""
        return tuple(dict.fromkeys(code for generator in self.generators for code in generator.source_languages))

    def choose_generator(self, language: str) -> CatalogEntry | None:
        """Returns the best generator that reads a language, or else the best of all, which then reads a translation.

        Returns None if the mode uses no generator.
        """
        suitable = [generator for generator in self.generators if match_code(language, generator.source_languages)]
        return next(iter(suitable or self.generators), None)


class Summarizer:
    """A summarizer of requests with the models of a pool."""

    def __init__(self, pool: ModelPool, detector: LanguageDetector, translator: Translator) -> None:
        self._pool = pool
        self._detector = detector
        self._translator = translator

    async def summarize(self, request: SummarizeRequest) -> tuple[list[Summary], Usage]:
        """Returns one summary for each content, in order, and the usage of the request.

        Raises `NotServed` if the named model does not exist or does not summarize, if no suitable model is usable, or
        if no model translates between the two given languages. Raises `InvalidRequest` if the options do not fit the
        mode, `DeadlineExceeded` if the deadline passes, and `Overloaded` if a queue is too long for the deadline.
        """
        plan = self._plan(request)
        usage = Usage()
        if request.language and request.output_language:
            self._translator.require_route(request.language, request.output_language)
        slots = asyncio.Semaphore(_ITEMS_AT_ONCE)

        async def summarize_item(content: str) -> Summary:
            async with slots:
                return await self._summarize_item(request, content, plan, usage)

        return await gather_or_cancel(summarize_item(content) for content in request.contents), usage

    def begin_text_work(self, request: SummarizeRequest) -> TextWork:
        """Returns the work on texts of one request."""
        return self._translator.begin_text_work(request.caller, request.deadline)

    def _plan(self, request: SummarizeRequest) -> _Plan:
        usable = self._pool.list_usable(Task.SUMMARIZATION)
        rankers = [entry for entry in usable if entry.ranks]
        generators = [entry for entry in usable if not entry.ranks]
        named = self._pool.get_entry(request.model) if request.model else None
        if named and named.task is not Task.SUMMARIZATION:
            raise NotServed(f"model {named.name} does not summarize; served: {', '.join(e.name for e in usable)}")
        if named and not named.ranks:
            generators = [named]
        mode = request.mode or (SummaryMode.ABSTRACTIVE if named and not named.ranks else SummaryMode.EXTRACTIVE)
        if named and named.ranks:
            rankers = [named]
            if mode is not SummaryMode.EXTRACTIVE:
                raise InvalidRequest(
                    Violation("model", f"{named.name} ranks sentences; {mode.value} mode needs a model that generates")
                )
        elif named and mode is SummaryMode.EXTRACTIVE:
            raise InvalidRequest(
                Violation("model", f"{named.name} generates text; extractive mode needs a model that ranks sentences")
            )
        if not rankers:
            raise NotServed("no summarization model is served")
        if mode is SummaryMode.EXTRACTIVE:
            if request.decoding != DecodingOptions():
                raise InvalidRequest(
                    Violation("decoding", "applies to generated text only; leave it unset for extractive summaries")
                )
            return _Plan(mode, rankers[0])
        allowed = [entry for entry in generators if entry is named or not entry.noncommercial]
        if not allowed:
            raise NotServed(
                f"no model for {mode.value} summaries is fetched; "
                "`latimer-server models list` shows the models that can be fetched"
            )
        return _Plan(mode, rankers[0], tuple(sorted(allowed, key=lambda entry: (not entry.embedded, entry.name))))

    async def _summarize_item(self, request: SummarizeRequest, content: str, plan: _Plan, usage: Usage) -> Summary:
        usage.characters += len(content)
        language: str = request.language
        detected: Candidate | None = None
        flags: tuple[Flag, ...] = ()
        try:
            if not language:
                language, detected, flags = await self._detect(request, content, plan)
            generator = plan.choose_generator(language)
            source = await self._read(request, content, language, generator, usage)
            usage.segments += len(source.sentences)
            ranked = await rank_sentences(self._pool, plan.ranker.name, source, self.begin_text_work(request), usage)
            generated = await self._generate(request, plan.mode, generator, source, ranked, usage)
            summary = await self._compose(request, source, generated.chosen, language, usage)
            if summary.language == language and _is_longer(summary, source, language):
                # The translation back made the summary longer than the content, so sentences are extracted instead.
                extracted = copy_sentences(source, ranked, extract_sentences(source, ranked, request.limit))
                summary = await self._compose(request, source, extracted, language, usage)
            generators = [generator.name] if generator and generated.has_run else []
            models = (*source.models, plan.ranker.name, *generators, *summary.models)
            return replace(
                summary,
                detected=detected,
                mode=plan.mode,
                flags=merge_flags([flags, source.flags, generated.flags, summary.flags]),
                models=tuple(dict.fromkeys(models)),
                input_coverage=generated.coverage,
            )
        except (DeadlineExceeded, Overloaded):
            raise
        except LatimerError as error:
            return Summary("", request.output_language or language, detected, flags=flags, error=error)
        except Exception as error:  # noqa: BLE001 (an unexpected error concerns its item only)
            names = "+".join(entry.name for entry in (plan.ranker, *plan.generators[:1]))
            _log.exception("item failed", extra={"models": names})
            internal = LatimerError("internal error")
            internal.__cause__ = error
            return Summary("", request.output_language or language, detected, error=internal)

    async def _detect(
        self, request: SummarizeRequest, content: str, plan: _Plan
    ) -> tuple[str, Candidate, tuple[Flag, ...]]:
        if request.output_language:
            # The summary will be translated, so the content gets the language that the translator would choose.
            options = TranslateOptions(fallback=request.fallback)
            translate_request = TranslateRequest((content,), "", (request.output_language,), options=options)
            work = self._translator.estimate_detection([content], ())
            (source,) = await self.begin_text_work(request).start(
                work, lambda: self._translator.find_sources(translate_request)
            )
            best = source.detected or Candidate(UNDETERMINED, 0.0)
            return source.code or UNDETERMINED, best, source.flags
        detection = (await self._translator.detect([content], (), self.begin_text_work(request)))[0]
        if detection.reliable or not needs_translation(content):
            return detection.best.code, detection.best, ()
        doubt = (Flag.LOW_LANGUAGE_CONFIDENCE,)
        if request.fallback:
            return request.fallback, detection.best, doubt
        if plan.languages:
            # As in a translation, an unreliable detection is limited to languages that some model reads.
            readable = sorted({*plan.languages, *self._translator.routes.sources})
            detection = (await self._translator.detect([content], readable, self.begin_text_work(request)))[0]
        return detection.best.code, detection.best, doubt

    async def _read(
        self, request: SummarizeRequest, content: str, language: str, generator: CatalogEntry | None, usage: Usage
    ) -> SummarySource:
        """Splits a content into sentences, and returns them with their word counts.

        If the generator does not read `language`, translates each sentence by itself into the generator's first
        language.
        """
        text = self.begin_text_work(request)
        begin = text.start if request.language else text.run  # else the detection was the first work
        document = await begin(len(content), lambda: segment_text(content, Splitting.SENTENCES_ACROSS_LINES, language))
        originals = await text.run(len(content), lambda: [join_lines(segment) for segment in document.segments])
        model_languages = generator.source_languages if generator and needs_translation(content) else ()
        texts, text_language = originals, language
        models: tuple[str, ...] = ()
        flags: tuple[Flag, ...] = ()
        if model_languages and originals and not match_code(language, model_languages):
            translations = await self._translate_all(request, originals, language, model_languages[0], usage)
            texts, text_language = [translation.text for translation in translations], model_languages[0]
            models = next((translation.models for translation in translations if translation.models), ())
            flags = merge_flags(translation.flags for translation in translations)
        words = await text.run(len(content), lambda: tuple(count_words(text, text_language) for text in texts))
        sentences = tuple(map(Sentence, originals, document.spans, texts))
        return SummarySource(
            sentences, text_language, words, models, tuple(flag for flag in flags if flag is not Flag.PASSTHROUGH)
        )

    async def _generate(
        self,
        request: SummarizeRequest,
        mode: SummaryMode,
        generator: CatalogEntry | None,
        source: SummarySource,
        ranked: RankedSentences,
        usage: Usage,
    ) -> GeneratedSummary:
        """Runs the generator in the given mode; extracts sentences if there is no generator or no candidate."""
        if generator is None or not ranked.order:
            extracted = copy_sentences(source, ranked, extract_sentences(source, ranked, request.limit))
            return GeneratedSummary(tuple(extracted), has_run=False)
        run_options = ModelRunOptions(
            request.decoding,
            reject_overlong=False,
            priority=Priority.INTERACTIVE,
            deadline=request.deadline,
            caller=request.caller,
            text=self.begin_text_work(request),
        )
        if request.deadline is not None:
            self._pool.require_deadline_met(generator.name, request.deadline, request.caller, cached=True)
        generate = shorten_sentences if mode is SummaryMode.HYBRID else write_summary
        return await generate(self._pool, generator.name, source, ranked, request.limit, run_options, usage)

    async def _compose(
        self,
        request: SummarizeRequest,
        source: SummarySource,
        chosen: Sequence[SelectedSentence],
        language: str,
        usage: Usage,
    ) -> Summary:
        """Composes the summary in the output language.

        Extracted sentences use the original text of the content. Sentences in another language than the output are
        translated. A shortened sentence whose translation back into the content's language is longer than the original
        is replaced by the original.
        """
        target = request.output_language or language
        untranslated: dict[int, tuple[str, str]] = {}  # index -> text and its language
        finished = list(chosen)
        for index, sentence in enumerate(chosen):
            text, text_language = (
                (sentence.text, source.language) if sentence.generated else (sentence.original, language)
            )
            finished[index] = replace(sentence, text=text)
            if not match_code(text_language, [target]):
                untranslated[index] = (text, text_language)
        models: tuple[str, ...] = ()
        flags: list[tuple[Flag, ...]] = []
        for text_language in sorted({code for _, code in untranslated.values()}):
            indices = [index for index, (_, code) in untranslated.items() if code == text_language]
            texts = [untranslated[index][0] for index in indices]
            translations = await self._translate_all(request, texts, text_language, target, usage)
            for index, translation in zip(indices, translations, strict=True):
                sentence = finished[index]
                models, target = models + translation.models, translation.target
                original = sentence.original
                if match_code(target, [language]) and original and _grew(original, translation.text, language):
                    finished[index] = replace(sentence, text=original)
                    continue
                finished[index] = replace(sentence, text=translation.text)
                flags.append(translation.flags)
        if untranslated:
            finished = _keep_within(finished, request.limit, source, language, target)
        flags += [sentence.flags for sentence in finished]
        return replace(compose_summary(finished, target), models=models, flags=merge_flags(flags))

    async def _translate_all(
        self, request: SummarizeRequest, texts: Sequence[str], source: str, target: str, usage: Usage
    ) -> list[Translation]:
        """Translates sentences, each as a content by itself, in order. Raises the first error of a sentence."""
        results: list[ItemResult] = []
        for start in range(0, len(texts), _SENTENCES_AT_ONCE):
            chunk, chunk_usage = await self._translator.translate(
                TranslateRequest(
                    contents=tuple(texts[start : start + _SENTENCES_AT_ONCE]),
                    source=source,
                    targets=(target,),
                    options=TranslateOptions(splitting=Splitting.NONE),
                    deadline=request.deadline,
                    caller=request.caller,
                )
            )
            usage.add(chunk_usage)
            results += chunk
        translations = [result.translations[0] for result in results]
        error = next((translation.error for translation in translations if translation.error), None)
        if error:
            raise error
        return translations


def _count_content(source: SummarySource, language: str) -> int:
    return sum(count_words(sentence.original, language) for sentence in source.sentences)


def _is_longer(summary: Summary, source: SummarySource, language: str) -> bool:
    return count_words(summary.text, language) > _count_content(source, language)


def _grew(before: str, after: str, language: str) -> bool:
    return count_words(after, language) > count_words(before, language)


def _keep_within(
    chosen: Sequence[SelectedSentence], limit: LengthLimit, source: SummarySource, language: str, target: str
) -> list[SelectedSentence]:
    """Returns the translated sentences with the best scores that fit into the limit, in the order of the summary.

    The limit counts words of `target`, the output language.
    """
    words = [count_words(sentence.text, target) for sentence in chosen]
    order = sorted(range(len(chosen)), key=lambda index: -chosen[index].score)
    return [chosen[index] for index in take_within(order, words, _count_content(source, language), limit)]
