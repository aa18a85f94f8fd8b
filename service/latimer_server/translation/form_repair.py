"""Form repair: writes parts of an output in the form that its source or its language asks for, without the models.

These are names of people, hours, dates, the first letter, spaces before signs, capitals in brackets and decimal marks.
Each rule looks for a sign that its texts contain, so that other outputs cost little. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latimer_server.core.flags import Flag
from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.text.accented_capitals import capitalize_accented
from latimer_server.text.alignment import Link, map_span
from latimer_server.text.bracket_repair import loses_brackets, restore_brackets
from latimer_server.text.clock_times import rewrite_hours
from latimer_server.text.dates import rewrite_dates
from latimer_server.text.ordinals import restore_ordinals
from latimer_server.text.output_signs import (
    raise_brackets,
    remove_spaces_before_signs,
    write_number_signs,
    write_powers,
)
from latimer_server.text.person_names import is_name_line, restore_names
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.spans import merge_spans
from latimer_server.text.quoted_signs import restore_quoted_signs
from latimer_server.text.rewriting import Edit, apply_edits, drop_overlapping
from latimer_server.text.salutations import agree_salutation
from latimer_server.text.sentence_start import lower_start
from latimer_server.text.units import restore_units
from latimer_server.translation.segment_output import Alternative, SegmentOutput

# Faults of an output that are gone with its text.
_FAULTS = frozenset({Flag.COPIED_SOURCE, Flag.WRONG_OUTPUT_LANGUAGE, Flag.MISSING_TEXT, Flag.REPETITION_REPAIRED})


# Languages with Latin letters that write foreign names as they are.
_LATIN = frozenset({"en", "pt", "es", "fr", "it", "de", "nl", "ca", "gl", "sv", "da", "nb", "nn", "no", "fi", "ro"})


def write_known(segment: ProtectedText, output: SegmentOutput, languages: tuple[str, str]) -> SegmentOutput | None:
    """Returns the output of a segment whose translation is known: the name of a person stays as it is. Else None.

    `languages`: BCP-47 codes of source and target. The output needs no checks.
    """
    if segment.replacements:
        return None
    if is_name_line(segment.text, languages[0]) and _writes_names(languages[1]):
        return _copy_segment(segment.text, output)
    return None


def _writes_names(language: str) -> bool:
    return primary_subtag(language) in _LATIN


def repair_forms(segment: ProtectedText, output: SegmentOutput, languages: tuple[str, str]) -> SegmentOutput:
    """Returns the output of a segment with its forms repaired. `languages`: BCP-47 codes of source and target."""
    edits = drop_overlapping(_list_edits(segment, ProtectedText(output.text, merge_spans(output.protected)), languages))
    alternatives = tuple(_repair_alternative(segment, other, languages) for other in output.alternatives)
    if not edits:
        return output if alternatives == output.alternatives else replace(output, alternatives=alternatives)
    return replace(_apply(output, edits), alternatives=alternatives)


def _apply(output: SegmentOutput, edits: list[Edit]) -> SegmentOutput:
    """Returns an output with its text edited, and its spans and links moved."""
    text, moves = apply_edits(output.text, edits)
    back = [(old, new) for new, old in moves]
    links = output.links
    if links is not None:
        links = tuple(Link(link.source, map_span(back, link.target), link.score) for link in links)
    protected = tuple(map_span(back, span) for span in output.protected)
    return replace(output, text=text, protected=protected, links=links)


def _copy_segment(text: str, output: SegmentOutput) -> SegmentOutput:
    """Returns the output of a segment that stays as it is."""
    if output.text == text:
        return output
    link = Link(TextSpan(0, len(text)), TextSpan(0, len(text)), 1.0)
    return replace(
        output,
        text=text,
        flags=tuple(flag for flag in output.flags if flag not in _FAULTS),
        links=None if output.links is None else (link,),
        protected=(),
    )


def _repair_alternative(segment: ProtectedText, other: Alternative, languages: tuple[str, str]) -> Alternative:
    edits = drop_overlapping(_list_edits(segment, ProtectedText(other.text), languages))
    return replace(other, text=apply_edits(other.text, edits)[0]) if edits else other


def _list_edits(source: ProtectedText, output: ProtectedText, languages: tuple[str, str]) -> Iterator[Edit]:
    target = languages[1]
    yield from restore_names(source, output, languages)
    yield from rewrite_hours(source.text, output, target)
    yield from rewrite_dates(output, target)
    yield from lower_start(source, output, target)
    yield from capitalize_accented(source, output)
    yield from agree_salutation(output, target)
    yield from remove_spaces_before_signs(source, output, target)
    yield from raise_brackets(source, output)
    yield from write_powers(source, output, languages)
    yield from write_number_signs(output, target)
    yield from restore_quoted_signs(source, output)
    yield from restore_units(source, output, languages)
    yield from restore_ordinals(source, output, languages)


def lacks_brackets(segment: ProtectedText, output: SegmentOutput) -> bool:
    """Returns True if an output has fewer brackets than its segment."""
    if "(" not in segment.text and "[" not in segment.text:
        return False
    return loses_brackets(segment, ProtectedText(output.text, merge_spans(output.protected)))


def put_brackets(segment: ProtectedText, output: SegmentOutput) -> SegmentOutput:
    """Returns an output with the brackets that it lacks, as far as its word alignment tells their places."""
    guarded = ProtectedText(output.text, merge_spans(output.protected))
    edits = drop_overlapping(restore_brackets(segment, guarded, output.links or ()))
    return _apply(output, edits) if edits else output
