"""Division: cuts a segment into parts between clauses, and joins the outputs of its parts. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from latimer_server.core.flags import Flag, merge_flags
from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link, shift_link
from latimer_server.text.protection.masking import ProtectedText, extract_parts
from latimer_server.text.segmentation import Document, divide_segment, needs_translation, rebuild_text
from latimer_server.translation.segment_output import SegmentOutput

# Segments shorter than this in code points are not divided: a part alone says too little for a good translation.
_MIN_LENGTH = 60
# A letter that stands for each character of a protected span while cuts are sought, so that none is inside a span.
_LETTER = "x"
# The flags of parts that their segment keeps. A check of the whole adds the others again.
_KEPT = frozenset(
    {Flag.PIVOTED, Flag.REPETITION_REPAIRED, Flag.OUTPUT_TRUNCATED, Flag.UNKNOWN_TOKENS, Flag.MISSING_TEXT}
)
# Languages that write nouns with a capital, so that a capital at the beginning of a part is no mistake.
_CAPITAL_NOUNS = frozenset({"de", "lb"})


def divide_clauses(segment: ProtectedText) -> Document | None:
    """Returns the text of a segment with the spans of two or more parts, which end after clauses; None if it has none.

    Parts have up to 0.6 times the length of the segment. No part ends inside a protected span or word, and each has a
    letter to translate; other text stays between the parts.
    """
    text = segment.text
    if len(text) < _MIN_LENGTH:
        return None
    hidden = list(text)
    for span in segment.spans:
        hidden[span.start : span.end] = _LETTER * (span.end - span.start)
    plain = "".join(hidden)
    most = max(_MIN_LENGTH // 2, len(text) * 6 // 10)
    spans = divide_segment(plain, len(text), _no_tokens, most)
    if len(spans) < 2 or any(_cuts_word(plain, span.end) for span in spans[:-1]):
        return None
    parts = [span for span in spans if needs_translation(text[span.start : span.end])]
    return Document(text, tuple(parts)) if len(parts) > 1 else None


def extract_clauses(segment: ProtectedText, document: Document) -> list[ProtectedText]:
    """Returns the parts of a segment with their protected spans."""
    return list(extract_parts(segment, document.spans))


def join_clauses(
    document: Document, outputs: Sequence[SegmentOutput | Exception], language: str
) -> SegmentOutput | Exception:
    """Returns the output of a segment from those of its parts, in order, with SEGMENT_SPLIT; or the first error.

    A part that begins with a small letter gets an output that does, unless `language` (BCP-47 code of the output)
    writes nouns with a capital. Alternatives and the flags that a check of the segment adds again are dropped.
    """
    error = next((output for output in outputs if isinstance(output, Exception)), None)
    if error is not None:
        return error
    good = [output for output in outputs if isinstance(output, SegmentOutput)]
    adapted = [_adapt(text, output, language) for text, output in zip(document.segments, good, strict=True)]
    rebuilt = rebuild_text(document, [output.text for output in adapted])
    protected: list[TextSpan] = []
    links: list[Link] = []
    for source, target, output in zip(document.spans, rebuilt.spans, adapted, strict=True):
        protected += [TextSpan(target.start + span.start, target.start + span.end) for span in output.protected]
        links += [shift_link(link, source.start, target.start) for link in output.links or ()]
    flags = [flag for output in adapted for flag in output.flags if flag in _KEPT]
    return SegmentOutput(
        rebuilt.text,
        sum(output.log_prob for output in adapted),
        sum(output.token_count for output in adapted),
        merge_flags([(Flag.SEGMENT_SPLIT,), flags]),
        protected=tuple(protected),
        links=tuple(links) if all(output.links is not None for output in adapted) else None,
    )


def _adapt(source: str, output: SegmentOutput, language: str) -> SegmentOutput:
    """Returns the output of a part with a small first letter if its source has one, and without an added full stop."""
    text = output.text
    if text.endswith(".") and not source.rstrip("\"'”’)").endswith((".", "…")) and not text.endswith(".."):
        text = text[:-1]
    first, second = text[:1], text[1:2]
    if source[:1].islower() and first.isupper() and not second.isupper() and language not in _CAPITAL_NOUNS:
        inside = any(span.start == 0 for span in output.protected)
        text = text if inside or len(first.lower()) != 1 else first.lower() + text[1:]
    return output if text == output.text else replace(output, text=text)


def _cuts_word(text: str, position: int) -> bool:
    return text[position - 1 : position].isalnum() and text[position : position + 1].isalnum()


def _no_tokens(text: str) -> Sequence[int]:  # noqa: ARG001 (parts are bounded by their code points alone)
    return ()
