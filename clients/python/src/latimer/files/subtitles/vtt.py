"""WebVTT (.vtt, W3C): a unit is the text of a cue, or a sentence over several.

Header, NOTE, STYLE and REGION blocks, identifiers, times, settings and voices stay. A comment `NOTE latimer: NAME`
before a cue names the flags of an uncertain unit.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from latimer.files.document import FileFormat, ReadOptions
from latimer.files.encoding import find_encoding
from latimer.files.splices import Passage, Source, SplicedDocument, whole_file
from latimer.files.subtitles.cues import Cue, Dialect, read_passages
from latimer.files.subtitles.text_lines import TextLine, split_lines, split_texts

_TIME = r"(?:(\d+):)?([0-5]?\d):([0-5]?\d)\.(\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}[ \t]*-->[ \t]*{_TIME}(?:[ \t].*)?$")
_OTHER = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t].*)?$")
_BLANK = re.compile(r"(?:\r\n|\n|\r(?!\n)){2}\Z")
_VOICE = re.compile(r"<v(?:\.[^\s<>]+)*[ \t]+([^<>]*)>")


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, _passages))


def _passages(source: Source) -> Iterator[Passage]:
    line_break = source.line_end

    def comment(cue: Cue, text: str) -> str:
        # A comment is a block, and the line of times of a cue may follow the cue before without a blank line.
        apart = "" if _BLANK.search(source.text, max(0, cue.mark - 4), cue.mark) else line_break
        return f"{apart}NOTE {text}{line_break}{line_break}"

    dialect = Dialect(line_break, split_texts, html.unescape, partial(html.escape, quote=False), comment)
    yield from read_passages(list(_cues(source)), dialect)


def _cues(source: Source) -> Iterator[Cue]:
    if not source.text:
        return
    if not re.match(r"WEBVTT(?:[ \t\r\n]|$)", source.text):
        raise source.fault(0, "a WebVTT file starts with WEBVTT", "use --format srt for SubRip")
    number = 0
    for block in _blocks(source.text):
        if block[0].start == 0 or _OTHER.match(block[0].text):
            continue
        timed = next((place for place, line in enumerate(block[:2]) if "-->" in line.text), None)
        times = _TIMES.match(block[timed].text) if timed is not None else None
        if timed is None or times is None:
            raise source.fault(
                block[timed or 0].start, "this block has no line of times", "write it like 00:01.000 --> 00:02.500"
            )
        number += 1
        if len(block) == timed + 1:
            continue
        start, last = block[timed + 1].start, block[-1]
        payload = source.text[start : last.start + len(last.text)]
        voice = _VOICE.search(payload)
        values = [int(each or 0) for each in times.groups()]
        yield Cue(
            start,
            start + len(payload),
            payload,
            values[0] * 3600 + values[1] * 60 + values[2] + values[3] / 1000,
            values[4] * 3600 + values[5] * 60 + values[6] + values[7] / 1000,
            f"cue {number}, {source.place(start)}",
            block[0].start,
            voice[1].strip() if voice else "",
        )


def _blocks(text: str) -> Iterator[list[TextLine]]:
    """Yields the runs of lines between blank lines."""
    held: list[TextLine] = []
    for line in split_lines(text):
        if line.text:
            # A line of times starts a cue also without a blank line before.
            if "-->" in line.text and any("-->" in each.text for each in held):
                yield held
                held = []
            held.append(line)
        elif held:
            yield from _trim(held)
            held = []
    if held:
        yield from _trim(held)


def _trim(block: list[TextLine]) -> Iterator[list[TextLine]]:
    """Yields a block without the lines of spaces at its start, if anything is left."""
    first = next((place for place, line in enumerate(block) if line.text.strip()), None)
    if first is not None:
        yield block[first:]


FORMAT = FileFormat(
    name="vtt", suffixes=(".vtt",), read=_read, marks="a comment `NOTE latimer: NAME` with the flags before the cue"
)
