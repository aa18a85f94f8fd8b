"""Bounds on a response: its segments, and the text that glossary terms add."""

from __future__ import annotations

from collections.abc import Iterable

from latimer_server.core.errors import InvalidRequest, Violation
from latimer_server.translation.assembly import ContentJob
from latimer_server.translation.requests import TranslateOptions

# Most segments in a response; more would be gigabytes. The largest request of ordinary text has 16,000 for a target.
MAX_RETURNED_SEGMENTS = 300_000
# Most code points that glossary terms may add to the texts of one request: a term of one letter may stand for 256.
_MAX_GROWTH = 4_000_000


def check_growth(jobs: Iterable[ContentJob]) -> None:
    """Raises `InvalidRequest` if glossary terms would make the texts of the response too long."""
    added = sum(
        len(new) - (span.end - span.start)
        for job in jobs
        for segment in job.segments
        for span, new in zip(segment.spans, segment.replacements, strict=False)
        if new is not None
    )
    if added > _MAX_GROWTH:
        rule = f"would add {added} code points to the texts; at most {_MAX_GROWTH} are allowed in one request"
        raise InvalidRequest(Violation("options.glossary_terms", rule))


def check_segment_count(options: TranslateOptions, segments: int) -> None:
    """Raises `InvalidRequest` if the response would hold too many segments and alternatives."""
    limit = f"at most {MAX_RETURNED_SEGMENTS} in total; send fewer contents in one request"
    if options.alternative_count and segments * (1 + options.alternative_count) > MAX_RETURNED_SEGMENTS:
        rule = f"would return {segments} segments and {options.alternative_count} alternatives of each; {limit}"
        raise InvalidRequest(Violation("options.alternative_count", rule))
    if options.returns_segments and segments > MAX_RETURNED_SEGMENTS:
        rule = f"would return {segments} segments; {limit}"
        field = "include_segments" if options.include_segments else "include_alignment"
        raise InvalidRequest(Violation(f"options.{field}", rule))
