"""Takes out of a segment what a model shall not read, and puts it back into the output.

These are line breaks inside a sentence, the hyphens of divided words, the escapes and access keys of software strings;
and the white space and direction marks that models drop. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from latimer_server.core.flags import Flag
from latimer_server.text.abbreviations import spell_out_abbreviations
from latimer_server.text.alignment import Link, map_span
from latimer_server.text.clock_times import find_hours
from latimer_server.text.hyphenation import JOINT, find_divided
from latimer_server.text.label_case import has_label, lower_label, restore_label
from latimer_server.text.letter_forms import loses_style, restore_ellipses, restore_single_quotes, restore_words
from latimer_server.text.nested_quotes import has_nested_quotes, restore_nested_quotes
from latimer_server.text.price_rates import spell_out_periods
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.protection.spans import merge_spans
from latimer_server.text.rewriting import Edit, apply_edits, drop_overlapping, rewrite_text
from latimer_server.text.segmentation import join_lines
from latimer_server.text.signs import find_repeated_signs, restore_signs
from latimer_server.text.software_strings import (
    find_access_key,
    find_escapes,
    restore_access_key,
    restore_blanks,
    restore_escapes,
    restore_optional_plurals,
)
from latimer_server.text.spacing import remove_spaces, restore_controls, restore_spaces
from latimer_server.text.weekdays import spell_out_weekdays
from latimer_server.translation.segment_output import Alternative, SegmentOutput

_WHITE_SPACE = re.compile(r"\s+")
# A segment without one of these characters, and without the runs in `_is_special`, comes out as the model writes it.
_SPECIAL = re.compile("[^!-%'-\\[\\]^`-~ \u00a1-\u00a9\u00ab-\u00b9\u00bb-\u02af\u0300-\u167f\u1681-\u1fff–—’“”]")


def prepare_segment(written: ProtectedText, *, join: bool, language: str = "") -> ProtectedText:
    """Returns a segment as a model shall read it. `moves` of the result has the replaced parts.

    `join`: line breaks outside the protected spans become spaces, with the white space around them. `language`: BCP-47
    code of the segment, which tells the abbreviations that are spelled out; "" spells out none.
    """
    # An abbreviation in a label in capitals, `TOTAL QTY:`, is spelled out.
    days = drop_overlapping([*(_spell_out(written, language) if language else ()), *lower_label(written)])
    if not _is_special(written.text):
        return rewrite_text(written, days)
    edits = [*days, *_join_words(written)]
    if join:
        edits += _join_lines(written, {edit.start for edit in edits})
    edits += find_repeated_signs(written)
    edits += find_escapes(written)
    edits += find_access_key(written)
    return rewrite_text(written, edits)


def finish_output(text: str, segment: ProtectedText, output: SegmentOutput, *, keeps_lines: bool) -> SegmentOutput:
    """Returns the output of a segment with what `prepare_segment` took out, and with the white space of its source.

    `text`: the segment as it was written. `segment`: as the model read it. `keeps_lines`: also puts the line breaks of
    divided words back.
    """
    if not _is_special(text) and "  " not in output.text and not has_label(text):
        return output
    written = ProtectedText(text, tuple(map_span(segment.moves, span) for span in segment.spans))
    edits = list(
        _list_edits(written, ProtectedText(output.text, merge_spans(output.protected)), keeps_lines=keeps_lines)
    )
    alternatives = tuple(_finish_alternative(written, other, keeps_lines=keeps_lines) for other in output.alternatives)
    finished, moves = apply_edits(output.text, edits)
    if not text.isascii() and Flag.UNKNOWN_TOKENS not in output.flags and loses_style(written, finished):
        output = replace(output, flags=(*output.flags, Flag.UNKNOWN_TOKENS))
    if not edits:
        return replace(output, alternatives=alternatives) if output.alternatives else output
    back = [(old, new) for new, old in moves]
    links = output.links
    if links is not None:
        links = tuple(Link(link.source, map_span(back, link.target), link.score) for link in links)
    return replace(
        output,
        text=finished,
        protected=tuple(map_span(back, span) for span in output.protected),
        links=links,
        alternatives=alternatives,
    )


def _spell_out(written: ProtectedText, language: str) -> Iterator[Edit]:
    """Yields the replacement of abbreviations and of hours by what a model knows."""
    yield from spell_out_weekdays(written, language)
    yield from spell_out_abbreviations(written, language)
    yield from spell_out_periods(written, language)
    parts = list_unprotected(written)
    for edit in find_hours(written.text, language):
        if any(part.start <= edit.start and edit.end <= part.end for part in parts):
            yield edit


def _is_special(text: str) -> bool:
    # These tests take half the time of a loop over the runs.
    has_run = "  " in text or "( " in text or "(s)" in text
    has_run = has_run or "!!" in text or "??" in text or "?!" in text or "!?" in text or "«" in text
    has_run = has_run or has_nested_quotes(text)
    return has_run or _SPECIAL.search(text) is not None


def _finish_alternative(written: ProtectedText, other: Alternative, *, keeps_lines: bool) -> Alternative:
    text, _ = apply_edits(other.text, _list_edits(written, ProtectedText(other.text), keeps_lines=keeps_lines))
    return replace(other, text=text)


def _list_edits(written: ProtectedText, output: ProtectedText, *, keeps_lines: bool) -> Iterator[Edit]:
    yield from restore_spaces(written, output, keeps_lines=keeps_lines)
    yield from remove_spaces(written, output)
    yield from restore_controls(written, output)
    yield from restore_escapes(written, output)
    yield from restore_access_key(written, output)
    yield from restore_optional_plurals(output)
    yield from restore_blanks(written, output)
    yield from restore_signs(written, output)
    yield from restore_label(written, output)
    nested = list(restore_nested_quotes(written, output))
    if written.text.isascii():
        yield from nested
    else:
        yield from restore_words(written, output)
        yield from nested or restore_single_quotes(written, output)
        yield from restore_ellipses(written, output)


def _join_words(written: ProtectedText) -> Iterator[Edit]:
    """Yields for each divided word the replacement of its hyphen and line break by `JOINT`."""
    ends = iter(written.spans)
    kept = next(ends, None)
    for span in find_divided(written.text):
        while kept is not None and kept.end <= span.start:
            kept = next(ends, None)
        if kept is None or kept.start >= span.end:
            is_soft = written.text[span.start] == "\u00ad"
            yield Edit(span.start, span.end, "\u00ad\u00ad" if is_soft else JOINT)


def _join_lines(written: ProtectedText, joined: set[int]) -> Iterator[Edit]:
    """Yields the replacement of each line break by a space. `joined`: the offsets of the hyphens of divided words."""
    for part in list_unprotected(written):
        for run in _WHITE_SPACE.finditer(written.text, part.start, part.end):
            new = join_lines(run.group())
            if new != run.group() and run.start() - 1 not in joined:
                yield Edit(run.start(), run.end(), new)
