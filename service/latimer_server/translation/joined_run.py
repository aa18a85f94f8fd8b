"""Joined run: takes short neighbouring sentences through a model together, and divides the output between them.

A short sentence alone says too little: `Quem é você?` behind `Ei!` is `Who are you?`, alone `Who are you doing?`. A
model that reads several sentences may drop or merge some, so an output counts only if it has as many sentences with the
same ends and no warning; else each is translated by itself. Decision 0098 measures the rule.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.scheduling import TextWork, estimate_text_work
from latimer_server.text.alignment import shift_link
from latimer_server.text.casing import Casing, find_casing
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.spans import merge_spans
from latimer_server.text.segmentation import Document, Splitting, segment_text
from latimer_server.text.sentence_pairs import has_same_ends, may_join
from latimer_server.translation.chunks import JobSegment
from latimer_server.translation.segment_output import SegmentOutput

# The most words of sentences that are joined.
_MOST_WORDS = 20

# Takes segments through the models of a route. Returns the output or error of each, in order.
Run = Callable[[Sequence[ProtectedText]], Awaitable[list[SegmentOutput | Exception]]]


@dataclass(frozen=True)
class JoinedRunner:
    """Translates the segments of chunks in one language pair (BCP-47), short neighbours together.

    `run`: takes segments through the models. `usage` is added to.
    """

    source: str
    target: str
    run: Run
    usage: Usage
    text: TextWork = TextWork()

    async def translate(self, chunk: Sequence[JobSegment]) -> list[SegmentOutput | Exception]:
        """Returns the outputs of the segments of a chunk, in order. Those that were joined share their score."""
        segments = [segment for _, _, segment in chunk]
        work = estimate_text_work([segment.text for segment in segments])
        groups = await self.text.run(work, lambda: list(_group_segments(chunk)))
        if len(groups) == len(segments):
            return await self.run(segments)
        joined = [segments[group.start] if len(group) == 1 else _join([segments[i] for i in group]) for group in groups]
        outputs = await self.run(joined)
        divided = await self.text.run(
            work,
            lambda: [
                self._divide([segments[index] for index in group], output)
                for group, output in zip(groups, outputs, strict=True)
            ],
        )
        missing = [index for group, parts in zip(groups, divided, strict=True) if parts is None for index in group]
        apart = iter(await self.run([segments[index] for index in missing]) if missing else ())
        self.usage.retried_segments += len(missing)
        results: list[SegmentOutput | Exception] = []
        for group, parts in zip(groups, divided, strict=True):
            results += islice(apart, len(group)) if parts is None else parts
        return results

    def _divide(
        self, segments: Sequence[ProtectedText], output: SegmentOutput | Exception
    ) -> Sequence[SegmentOutput | Exception] | None:
        """Returns the outputs of the segments that were joined; None unless the output has the same sentences."""
        if len(segments) == 1:
            return [output]
        if isinstance(output, Exception) or any(flag.is_warning for flag in output.flags):
            return None
        sources = [segment_text(segment.text, Splitting.SENTENCES, self.source) for segment in segments]
        written = segment_text(output.text, Splitting.SENTENCES, self.target, merge_spans(output.protected))
        sentences = [text for source in sources for text in source.segments]
        if not has_same_ends(sentences, written.segments):
            return None
        return _divide_output(segments, output, _list_places(written, [len(source.spans) for source in sources]))


def joins_sentences(decoding: DecodingOptions) -> bool:
    """Returns True if sentences may be joined under these options: they bound no output, and want no alternatives."""
    bounds = (decoding.max_output_tokens, decoding.max_length_ratio)
    return decoding.hypothesis_count == 1 and bounds == (None, None)


def _group_segments(chunk: Sequence[JobSegment]) -> Iterator[range]:
    """Yields the indices of the segments of a chunk in groups: neighbours that together have few words, or one."""
    start = words = 0
    for index, (_, _, segment) in enumerate(chunk):
        size = segment.text.count(" ") + 1
        words += size
        if index > start and (words > _MOST_WORDS or not _are_neighbours(chunk[index - 1], chunk[index])):
            yield range(start, index)
            start, words = index, size
    if chunk:
        yield range(start, len(chunk))


def _are_neighbours(first: JobSegment, second: JobSegment) -> bool:
    """Returns True if two segments are sentences of one paragraph that a model may read together."""
    (job, number, segment), (other, following, next_segment) = first, second
    if job is not other or following != number + 1:
        return False
    part, place = job.find_part(number)
    spans = part.document.spans
    if place + 1 == len(spans) or not may_join(part.document.text, spans[place], spans[place + 1]):
        return False
    return find_casing(segment) is find_casing(next_segment) is Casing.NORMAL


def _join(segments: Sequence[ProtectedText]) -> ProtectedText:
    """Returns the text of several segments with a space between, and their protected spans."""
    starts = accumulate((len(segment.text) + 1 for segment in segments), initial=0)
    spans = tuple(
        TextSpan(start + span.start, start + span.end)
        for start, segment in zip(starts, segments, strict=False)
        for span in segment.spans
    )
    replaced = [new for segment in segments for new in segment.replacements or (None,) * len(segment.spans)]
    return ProtectedText(
        " ".join(segment.text for segment in segments),
        spans,
        tuple(replaced) if any(segment.replacements for segment in segments) else (),
    )


def _list_places(written: Document, counts: Sequence[int]) -> list[TextSpan]:
    """Returns the span of so many sentences of a text for each of `counts`, in order."""
    spans = iter(written.spans)
    groups = (list(islice(spans, count)) for count in counts)
    return [TextSpan(group[0].start, group[-1].end) for group in groups]


def _divide_output(
    segments: Sequence[ProtectedText], output: SegmentOutput, places: Sequence[TextSpan]
) -> list[SegmentOutput] | None:
    """Returns the outputs of segments that were joined; None if a protected span is in another one's place.

    `places`: the part of the output for each segment. Tokens are shared by length.
    """
    parts: list[SegmentOutput] = []
    start = first = used = 0
    for segment, place in zip(segments, places, strict=True):
        source = TextSpan(start, start + len(segment.text))
        share = output.protected[first : first + len(segment.spans)]
        if not all(place.start <= span.start and span.end <= place.end for span in share):
            return None
        links = output.links
        if links is not None:
            inside = (
                link
                for link in links
                if source.start <= link.source.start
                and link.source.end <= source.end
                and place.start <= link.target.start
                and link.target.end <= place.end
            )
            links = tuple(shift_link(link, -source.start, -place.start) for link in inside)
        tokens = round(output.token_count * place.end / max(1, len(output.text))) - used
        parts.append(
            replace(
                output,
                text=output.text[place.start : place.end],
                log_prob=output.avg_log_prob * tokens,
                token_count=tokens,
                protected=tuple(TextSpan(span.start - place.start, span.end - place.start) for span in share),
                links=links,
            )
        )
        start, first, used = source.end + 1, first + len(segment.spans), used + tokens
    return parts
