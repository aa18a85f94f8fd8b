"""The use case: texts in, short summaries out. Document to sentences to ranking to selection or generation.

Knows no gRPC and no model library. A document in a language that the model does not read goes through the
translator, and a summary in another language too. One bad item never fails its neighbours.
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
from latimer_server.scheduling import Priority, estimate_text_work, gather_or_cancel, run_off_loop
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

# Items of a request in work at once, so that no turn of the event loop is long.
_ITEMS_AT_ONCE = 8
# Sentences translated together; all of a long document would be one large request.
_SENTENCES_AT_ONCE = 1_024


@dataclass(frozen=True)
class SummarizeRequest:
    """Texts and what to make of them. `language` "" detects; `mode` None takes the best that is served;
    `deadline` reads the monotonic clock; `caller`: with whom its pieces share a turn in the queues."""

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
    """How the items of a request are summarized: by a ranker, and by one of the models that write, the best first,
    where the mode has one."""

    mode: SummaryMode
    ranker: CatalogEntry
    writers: tuple[CatalogEntry, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """What the models that write can read."""
        return tuple(dict.fromkeys(code for writer in self.writers for code in writer.source_languages))

    def choose_writer(self, language: str) -> CatalogEntry | None:
        """The best of those that read a language; where none does, the best for its translation."""
        reads = [writer for writer in self.writers if match_code(language, writer.source_languages)]
        return next(iter(reads or self.writers), None)


class Summarizer:
    """Summarizes requests with the models of a pool."""

    def __init__(self, pool: ModelPool, detector: LanguageDetector, translator: Translator) -> None:
        self._pool = pool
        self._detector = detector
        self._translator = translator

    async def summarize(self, request: SummarizeRequest) -> tuple[list[Summary], Usage]:
        """One summary for each content, in order.

        Raises `NotServed` for a model that there is not or that does not summarize, and for a pair of
        given languages that no model translates; `DeadlineExceeded` when its time is over.
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

    def _plan(self, request: SummarizeRequest) -> _Plan:
        usable = self._pool.list_usable(Task.SUMMARIZATION)
        rankers = [entry for entry in usable if entry.ranks]
        writers = [entry for entry in usable if not entry.ranks]
        named = self._pool.get_entry(request.model) if request.model else None
        if named and named.task is not Task.SUMMARIZATION:
            raise NotServed(f"model {named.name} does not summarize; served: {', '.join(e.name for e in usable)}")
        if named and not named.ranks:
            writers = [named]
        mode = request.mode or (SummaryMode.ABSTRACTIVE if named and not named.ranks else SummaryMode.EXTRACTIVE)
        if named and named.ranks:
            rankers = [named]
            if mode is not SummaryMode.EXTRACTIVE:
                raise InvalidRequest(
                    Violation("model", f"{named.name} ranks sentences; {mode.value} needs one that writes")
                )
        elif named and mode is SummaryMode.EXTRACTIVE:
            raise InvalidRequest(Violation("model", f"{named.name} writes; extractive needs one that ranks sentences"))
        if not rankers:
            raise NotServed("no summarization model is served")
        if mode is SummaryMode.EXTRACTIVE:
            if request.decoding != DecodingOptions():
                raise InvalidRequest(Violation("decoding", "says how a model writes; extractive summaries have none"))
            return _Plan(mode, rankers[0])
        free = [entry for entry in writers if entry is named or not entry.noncommercial]
        if not free:
            raise NotServed(
                f"no model for {mode.value} summaries is fetched: latimer-server models list shows those there are"
            )
        return _Plan(mode, rankers[0], tuple(sorted(free, key=lambda entry: (not entry.embedded, entry.name))))

    async def _summarize_item(self, request: SummarizeRequest, content: str, plan: _Plan, usage: Usage) -> Summary:
        usage.characters += len(content)
        language: str = request.language
        detected: Candidate | None = None
        flags: tuple[Flag, ...] = ()
        try:
            if not language:
                language, detected, flags = await self._detect(request, content, plan)
            writer = plan.choose_writer(language)
            source = await self._read(request, content, language, writer, usage)
            usage.segments += len(source.sentences)
            ranked = await rank_sentences(self._pool, plan.ranker.name, source)
            generated = await self._make(request, plan.mode, writer, source, ranked, usage)
            summary = await self._write_out(request, source, generated.chosen, language, usage)
            if summary.language == language and _is_longer(summary, source, language):
                # What was written in another language grew on its way back.
                extracted = copy_sentences(source, ranked, extract_sentences(source, ranked, request.limit))
                summary = await self._write_out(request, source, extracted, language, usage)
            models = (*source.models, plan.ranker.name, *([writer.name] if writer else []), *summary.models)
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
        except Exception as error:  # noqa: BLE001 (one item's failure is its own)
            _log.exception("item failed", extra={"models": "+".join(e.name for e in (plan.ranker, *plan.writers[:1]))})
            internal = LatimerError("internal error")
            internal.__cause__ = error
            return Summary("", request.output_language or language, detected, error=internal)

    async def _detect(
        self, request: SummarizeRequest, content: str, plan: _Plan
    ) -> tuple[str, Candidate, tuple[Flag, ...]]:
        if request.output_language:
            # The summary will be translated, so the translator says what it would read the text as.
            options = TranslateOptions(fallback=request.fallback)
            asked = TranslateRequest((content,), "", (request.output_language,), options=options)
            (source,) = await run_off_loop(estimate_text_work([content]), lambda: self._translator.find_sources(asked))
            best = source.detected or Candidate(UNDETERMINED, 0.0)
            return source.code or UNDETERMINED, best, source.flags
        found = (await self._translator.detect([content], ()))[0]
        if found.reliable or not needs_translation(content):
            return found.best.code, found.best, ()
        doubt = (Flag.LOW_LANGUAGE_CONFIDENCE,)
        if request.fallback:
            return request.fallback, found.best, doubt
        if plan.languages:
            # A doubtful text is taken to be in a language that can be read, as it is for a translation.
            readable = sorted({*plan.languages, *self._translator.routes.sources})
            found = (await self._translator.detect([content], readable))[0]
        return found.best.code, found.best, doubt

    async def _read(
        self, request: SummarizeRequest, content: str, language: str, writer: CatalogEntry | None, usage: Usage
    ) -> SummarySource:
        """The content's sentences; translated, each by itself, where the model reads another language."""
        document = await run_off_loop(
            len(content), lambda: segment_text(content, Splitting.SENTENCES_ACROSS_LINES, language)
        )
        originals = await run_off_loop(len(content), lambda: [join_lines(segment) for segment in document.segments])
        reads = writer.source_languages if writer and needs_translation(content) else ()
        texts, read_in = originals, language
        models: tuple[str, ...] = ()
        flags: tuple[Flag, ...] = ()
        if reads and originals and not match_code(language, reads):
            translations = await self._translate_all(request, originals, language, reads[0], usage)
            texts, read_in = [translation.text for translation in translations], reads[0]
            models = next((translation.models for translation in translations if translation.models), ())
            flags = merge_flags(translation.flags for translation in translations)
        words = await run_off_loop(len(content), lambda: tuple(count_words(text, read_in) for text in texts))
        sentences = tuple(map(Sentence, originals, document.spans, texts))
        return SummarySource(
            sentences, read_in, words, models, tuple(flag for flag in flags if flag is not Flag.PASSTHROUGH)
        )

    async def _make(
        self,
        request: SummarizeRequest,
        mode: SummaryMode,
        writer: CatalogEntry | None,
        source: SummarySource,
        ranked: RankedSentences,
        usage: Usage,
    ) -> GeneratedSummary:
        if writer is None or not ranked.order:
            return GeneratedSummary(
                tuple(copy_sentences(source, ranked, extract_sentences(source, ranked, request.limit)))
            )
        pieces = ModelRunOptions(
            request.decoding,
            reject_overlong=False,
            priority=Priority.INTERACTIVE,
            deadline=request.deadline,
            caller=request.caller,
        )
        if request.deadline is not None:
            self._pool.require_deadline_met(writer.name, request.deadline, request.caller, cached=True)
        make = shorten_sentences if mode is SummaryMode.HYBRID else write_summary
        return await make(self._pool, writer.name, source, ranked, request.limit, pieces, usage)

    async def _write_out(
        self,
        request: SummarizeRequest,
        source: SummarySource,
        chosen: Sequence[SelectedSentence],
        language: str,
        usage: Usage,
    ) -> Summary:
        """The summary in the language that was asked for. What was taken over from the content comes from there;
        only what was generated in another language is translated back, unless that makes it the longer one."""
        target = request.output_language or language
        wanted: dict[int, tuple[str, str]] = {}
        finished = list(chosen)
        for index, one in enumerate(chosen):
            text, said_in = (one.text, source.language) if one.generated else (one.original, language)
            finished[index] = replace(one, text=text)
            if not match_code(said_in, [target]):
                wanted[index] = (text, said_in)
        models: tuple[str, ...] = ()
        flags: list[tuple[Flag, ...]] = []
        for said_in in sorted({source for _, source in wanted.values()}):
            mine = [index for index, (_, source) in wanted.items() if source == said_in]
            translations = await self._translate_all(request, [wanted[i][0] for i in mine], said_in, target, usage)
            for index, translation in zip(mine, translations, strict=True):
                one = finished[index]
                models, target = models + translation.models, translation.target
                if match_code(target, [language]) and one.original and _grew(one.original, translation.text, language):
                    finished[index] = replace(one, text=one.original)
                    continue
                finished[index] = replace(one, text=translation.text)
                flags.append(translation.flags)
        if wanted:
            finished = _keep_within(finished, request.limit, source, language, target)
        flags += [one.flags for one in finished]
        return replace(compose_summary(finished, target), models=models, flags=merge_flags(flags))

    async def _translate_all(
        self, request: SummarizeRequest, texts: Sequence[str], source: str, target: str, usage: Usage
    ) -> list[Translation]:
        """Sentences, each a text by itself. Raises the error of the first that cannot be translated."""
        results: list[ItemResult] = []
        for start in range(0, len(texts), _SENTENCES_AT_ONCE):
            some, cost = await self._translator.translate(
                TranslateRequest(
                    contents=tuple(texts[start : start + _SENTENCES_AT_ONCE]),
                    source=source,
                    targets=(target,),
                    options=TranslateOptions(splitting=Splitting.NONE),
                    deadline=request.deadline,
                    caller=request.caller,
                )
            )
            usage.add(cost)
            results += some
        translations = [result.translations[0] for result in results]
        failed = next((translation.error for translation in translations if translation.error), None)
        if failed:
            raise failed
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
    """As many of the translated sentences as the limit allows, which counts the words that the caller will read."""
    words = [count_words(one.text, target) for one in chosen]
    order = sorted(range(len(chosen)), key=lambda index: -chosen[index].score)
    return [chosen[index] for index in take_within(order, words, _count_content(source, language), limit)]
