"""Form repair: writes parts of an output in the form that its source or its language asks for, without the models.

These are names of people, hours, dates and the first letter. Each rule looks for a sign that its texts contain, so that
other outputs cost little. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link, map_span
from latimer_server.text.clock_times import rewrite_hours
from latimer_server.text.dates import rewrite_dates
from latimer_server.text.person_names import is_name_line, restore_names
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.spans import merge_spans
from latimer_server.text.rewriting import Edit, apply_edits
from latimer_server.text.sentence_start import lower_start
from latimer_server.translation.segment_output import Alternative, SegmentOutput

# Flags of an output that do not fit a name that stays as it is.
_COPIES = frozenset({Flag.COPIED_SOURCE, Flag.WRONG_OUTPUT_LANGUAGE})


def repair_forms(segment: ProtectedText, output: SegmentOutput, languages: tuple[str, str]) -> SegmentOutput:
    """Returns the output of a segment with its forms repaired. `languages`: BCP-47 codes of source and target."""
    if is_name_line(segment.text, languages[0]):
        return _keep_name(segment.text, output)
    edits = _disjoin(_list_edits(segment, ProtectedText(output.text, merge_spans(output.protected)), languages))
    alternatives = tuple(_repair_alternative(segment, other, languages) for other in output.alternatives)
    if not edits:
        return output if alternatives == output.alternatives else replace(output, alternatives=alternatives)
    text, moves = apply_edits(output.text, edits)
    back = [(old, new) for new, old in moves]
    links = output.links
    if links is not None:
        links = tuple(Link(link.source, map_span(back, link.target), link.score) for link in links)
    return replace(
        output,
        text=text,
        protected=tuple(map_span(back, span) for span in output.protected),
        links=links,
        alternatives=alternatives,
    )


def _keep_name(name: str, output: SegmentOutput) -> SegmentOutput:
    """Returns the output of a segment that is the name of a person: the name."""
    if output.text == name:
        return output
    whole = TextSpan(0, len(name))
    return replace(
        output,
        text=name,
        flags=tuple(flag for flag in output.flags if flag not in _COPIES),
        links=None if output.links is None else (Link(whole, whole, 1.0),),
        protected=(),
    )


def _repair_alternative(segment: ProtectedText, other: Alternative, languages: tuple[str, str]) -> Alternative:
    edits = _disjoin(_list_edits(segment, ProtectedText(other.text), languages))
    return replace(other, text=apply_edits(other.text, edits)[0]) if edits else other


def _list_edits(source: ProtectedText, output: ProtectedText, languages: tuple[str, str]) -> Iterator[Edit]:
    target = languages[1]
    yield from restore_names(source, output, languages)
    yield from rewrite_hours(source.text, output, target)
    yield from rewrite_dates(output, target)
    yield from lower_start(source, output, target)


def _disjoin(edits: Iterator[Edit]) -> list[Edit]:
    """Returns edits without those that overlap an earlier one."""
    kept: list[Edit] = []
    for edit in edits:
        if all(edit.end <= other.start or other.end <= edit.start for other in kept):
            kept.append(edit)
    return kept
