"""Reading run: takes segments through one model, titles and texts in capitals in several readings, and keeps the best.

See `readings` for what a reading is. A lone word whose output has text that was added, such as `Robert (em inglês)`, is
read in small letters too unless it is a name; what is still added is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latimer_server.core.flags import Flag
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.scheduling import InflightLimit, estimate_text_work
from latimer_server.text.accented_capitals import restore_accents
from latimer_server.text.casing import Casing, find_casing, lower_text
from latimer_server.text.checks.additions import has_addition, trim_addition
from latimer_server.text.normalization import IsKnown
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.spans import merge_spans
from latimer_server.text.readings import (
    NAME,
    Reading,
    WordScore,
    capitalize_words,
    find_copied_names,
    find_copied_nouns,
    is_lone_word,
    is_name,
    leaves_only_names,
    lower_word,
    restore_case,
)
from latimer_server.text.rewriting import apply_edits
from latimer_server.translation.model_run import ModelRunOptions
from latimer_server.translation.protected_run import run_protected
from latimer_server.translation.segment_output import SegmentOutput

# The output of a reading with more capitals must be likelier than that with fewer by this mean log-probability of a
# token.
_CAPITALS_GAIN = 0.03
# The same for the title as written, which the models were not trained on.
_WRITTEN_GAIN = 0.07
# The output of a lone word in small letters must have at least this mean log-probability.
_LEAST_LOG_PROB = -0.5
# Texts with at most this many words are short: models add text to them.
_SHORT_WORDS = 3


@dataclass(frozen=True)
class _Plan:
    """A segment and the readings that the model gets first.

    A title has three: `readings[0]` keeps capitals for certain names, `readings[1]` for likely ones too, and the last
    has all capitals as written (of a text in capitals: those of a title).
    """

    segment: ProtectedText
    readings: tuple[Reading, ...]

    @property
    def is_title(self) -> bool:
        """True if the segment is in title case or in capitals."""
        return self.readings[0].casing is not Casing.NORMAL


async def run_readings(
    model: LoadedGenerator,
    segments: Sequence[ProtectedText],
    options: ModelRunOptions,
    inflight: InflightLimit,
    usage: Usage,
) -> list[SegmentOutput | Exception]:
    """Returns for each segment, in order, the output of its best reading, or the segment's error.

    Raises what `run_model` raises.
    """
    language = options.languages.source
    score = model.coverage.word_score
    work = estimate_text_work([segment.text for segment in segments])
    plans = await options.text.run(work, lambda: [_plan(segment, language, score) for segment in segments])

    async def run(pairs: Sequence[tuple[ProtectedText, Reading]]) -> list[SegmentOutput | Exception]:
        originals, readings = [segment for segment, _ in pairs], [reading for _, reading in pairs]
        return await run_protected(model, originals, readings, options, inflight, usage)

    outputs = iter(await run([(plan.segment, reading) for plan in plans for reading in plan.readings]))
    first = [[next(outputs) for _ in plan.readings] for plan in plans]
    results = await options.text.run(
        work, lambda: [_choose(*pair, language, score) for pair in zip(plans, first, strict=True)]
    )
    again = await options.text.run(
        work, lambda: _plan_again(plans, first, [result for result, _ in results], language, score)
    )
    chosen = [output for _, output in results]
    if again:
        second = await run([(plans[index].segment, reading) for index, (reading, _) in again.items()])
        for (index, (reading, loss)), output in zip(again.items(), second, strict=True):
            chosen[index] = _replace(plans[index].segment, reading, loss, chosen[index], output)
    trimmed = [
        _trim(plan.segment, output, score) if _may_have_addition(plan.segment, output) else output
        for plan, output in zip(plans, chosen, strict=True)
    ]
    if score("a") is None:
        return trimmed

    def is_known(character: str) -> bool:
        return model.coverage.covers(character, options.languages)

    return await options.text.run(
        work,
        lambda: [_accent(plan.segment, output, is_known, score) for plan, output in zip(plans, trimmed, strict=True)],
    )


def _plan(segment: ProtectedText, language: str, score: WordScore) -> _Plan:
    casing = find_casing(segment)
    if casing is Casing.NORMAL:
        return _Plan(segment, (Reading(segment, casing),))
    if score("a") is None:
        return _Plan(segment, (Reading(lower_text(segment, casing), casing),))
    certain = restore_case(segment, casing, language, score)
    likely = restore_case(segment, casing, language, score, least=0.0)
    written = segment if casing is Casing.TITLE else capitalize_words(segment, language)
    return _Plan(segment, tuple(Reading(text, casing) for text in (certain, likely, written)))


def _choose(
    plan: _Plan, outputs: Sequence[SegmentOutput | Exception], language: str, score: WordScore
) -> tuple[int, SegmentOutput | Exception]:
    """Returns the index of the best of the first readings of a segment, and its output.

    The reading as written counts if the others have an error or added text; if it copies the whole title and is
    likeliest, since then the title is a name; or if it is much likelier and leaves names only.
    """
    best = 0
    for index in range(1, len(outputs)):
        old, new = outputs[best], outputs[index]
        if isinstance(old, Exception) or isinstance(new, Exception):
            continue
        faulty, is_faulty = _is_faulty(plan.segment, old), _is_faulty(plan.segment, new)
        gain = new.avg_log_prob - old.avg_log_prob
        if index == 1:
            likelier = gain > _CAPITALS_GAIN
        else:
            likelier = (gain > 0 and _is_copy(plan.segment, new)) or (
                gain > _WRITTEN_GAIN and leaves_only_names(plan.segment, new.text, language, score)
            )
        if (faulty and not is_faulty) or (likelier and (faulty == is_faulty or index > 1)):
            best = index
    return best, outputs[best]


def _plan_again(
    plans: Sequence[_Plan],
    outputs: Sequence[Sequence[SegmentOutput | Exception]],
    best: Sequence[int],
    language: str,
    score: WordScore,
) -> dict[int, tuple[Reading, float]]:
    """Returns further readings by the index of the segment: of titles with names, and of lone words with added text.

    Each has the mean log-probability of a token by which its output may be less likely than the best so far: more than
    0 if it lowers words that the title as written translates.
    """
    again: dict[int, tuple[Reading, float]] = {}
    for index, (plan, row) in enumerate(zip(plans, outputs, strict=True)):
        segment, output = plan.segment, row[best[index]]
        written = row[-1]
        if plan.is_title and len(row) > 1 and isinstance(written, SegmentOutput):
            casing = plan.readings[0].casing
            names = find_copied_names(segment, written.text, language, score)
            nouns: frozenset[int] = frozenset()
            if isinstance(output, SegmentOutput):
                nouns = find_copied_nouns(segment, output.text, written.text)
            least = 0.0 if best[index] == 1 else NAME
            text = restore_case(segment, casing, language, score, least, names, nouns) if names or nouns else None
            if text is not None and text.text != plan.readings[best[index]].text.text:
                again[index] = (Reading(text, casing), _CAPITALS_GAIN if nouns else 0.0)
        elif (
            not plan.is_title
            and isinstance(output, SegmentOutput)
            and not segment.spans
            and is_lone_word(segment.text)
            and _is_faulty(segment, output)
            and not is_name(segment.text, score)
        ):
            again[index] = (Reading(lower_word(segment), Casing.LABEL), 0.0)
    return again


def _replace(
    segment: ProtectedText,
    reading: Reading,
    loss: float,
    old: SegmentOutput | Exception,
    new: SegmentOutput | Exception,
) -> SegmentOutput | Exception:
    """Returns the better one of the output so far and that of a further reading; see `_plan_again` for `loss`."""
    if isinstance(old, Exception) or isinstance(new, Exception) or _is_faulty(segment, new):
        return old
    if reading.casing is not Casing.LABEL:
        return new if new.avg_log_prob >= old.avg_log_prob - loss or _is_faulty(segment, old) else old
    is_copy = segment.text.lower() in new.text.lower()
    return old if is_copy or new.avg_log_prob < _LEAST_LOG_PROB else new


def _is_faulty(segment: ProtectedText, output: SegmentOutput) -> bool:
    return has_addition(segment.text, output.text)


def _is_copy(segment: ProtectedText, output: SegmentOutput) -> bool:
    """Returns True if an output is its source, without regard to capitals and added text."""
    return trim_addition(segment.text, output.text).lower() == segment.text.lower()


def _may_have_addition(segment: ProtectedText, output: SegmentOutput | Exception) -> bool:
    """Returns True if a segment is so short that its output may be trimmed, and its output has added text."""
    return (
        isinstance(output, SegmentOutput)
        and not segment.spans
        and segment.text.count(" ") < _SHORT_WORDS
        and _is_faulty(segment, output)
    )


def _trim(segment: ProtectedText, output: SegmentOutput | Exception, score: WordScore) -> SegmentOutput | Exception:
    """Returns the output of a short segment without added text.

    COPIED_SOURCE is added if only the source is left of it, unless it is a title or its word is a name.
    """
    if isinstance(output, Exception):
        return output
    text = trim_addition(segment.text, output.text)
    kept = None
    if output.links is not None:
        kept = tuple(link for link in output.links if link.target.end <= len(text) and output.text.startswith(text))
    flags = output.flags
    is_named = find_casing(segment) is not Casing.NORMAL or all(is_name(word, score) for word in segment.text.split())
    if text.lower() == segment.text.lower() and not is_named:
        flags = (*flags, Flag.COPIED_SOURCE)
    return replace(output, text=text, links=kept, flags=flags, protected=())


def _accent(
    segment: ProtectedText, output: SegmentOutput | Exception, is_known: IsKnown, score: WordScore
) -> SegmentOutput | Exception:
    """Returns an output with the accents of the capitals that its model cannot write. Its length stays."""
    if isinstance(output, Exception):
        return output
    guarded = ProtectedText(output.text, merge_spans(output.protected))
    edits = list(restore_accents(segment, guarded, is_known, score))
    return replace(output, text=apply_edits(output.text, edits)[0]) if edits else output
