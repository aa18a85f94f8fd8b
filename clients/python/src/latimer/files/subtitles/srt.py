"""SubRip (.srt): a unit is a subtitle, or a sentence over several. SubRip has no comments, so it marks no unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from latimer.files.document import FileFormat, ReadOptions
from latimer.files.encoding import find_encoding
from latimer.files.splices import Passage, Source, SplicedDocument, whole_file
from latimer.files.subtitles.cues import Cue, Dialect, read_passages
from latimer.files.subtitles.text_lines import TextLine, split_lines, split_texts

_TIME = r"(\d{1,3}):(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_NEARLY = re.compile(r"-+>|^\s*\d+:\d")
_CURE = "write it like 00:00:01,000 --> 00:00:02,500"


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, _passages))


def _passages(source: Source) -> Iterator[Passage]:
    line_break = source.line_end
    dialect = Dialect(line_break, split_texts, str, lambda text: text.replace("-->", "->"))
    yield from read_passages(list(_cues(source)), dialect)


def _cues(source: Source) -> Iterator[Cue]:
    """Yields the cues. Text after a blank line that is no cue belongs to the cue before."""
    lines = list(split_lines(source.text))
    held: tuple[re.Match[str], int, int] | None = None  # the times, and the first and last line of text
    position = number = 0
    while position < len(lines):
        line = lines[position]
        following = lines[position + 1].text if position + 1 < len(lines) else ""
        is_numbered = line.text.strip().isdecimal() and _TIMES.match(following)
        times = _TIMES.match(following) if is_numbered else _TIMES.match(line.text)
        if times:
            if held:
                yield _cue(source, lines, *held, number)
            number += 1
            position += 2 if is_numbered else 1
            end = position
            while end < len(lines) and lines[end].text.strip() and not _starts_cue(lines, end):
                end += 1
            held = (times, position, end)
            position = end
            continue
        if line.text.strip():
            _check_text(source, lines, position, number)
            if held is None:
                raise source.fault(
                    line.start, "there is no subtitle before this text", "check that it is a SubRip file"
                )
            held = (held[0], held[1], position + 1)
        position += 1
    if held:
        yield _cue(source, lines, *held, number)


def _starts_cue(lines: list[TextLine], position: int) -> bool:
    """Returns True at the number of a cue that no blank line divides from the cue before."""
    line = lines[position].text.strip()
    return line.isdecimal() and position + 1 < len(lines) and _TIMES.match(lines[position + 1].text) is not None


def _check_text(source: Source, lines: list[TextLine], position: int, number: int) -> None:
    line = lines[position]
    if _NEARLY.search(line.text):
        raise source.fault(line.start, "this is no line of times", _CURE)
    rest = [each for each in lines[position + 1 :][:2] if each.text.strip()]
    if line.text.strip() == str(number + 1) and (not rest or _NEARLY.search(rest[0].text)):
        at = rest[0] if rest else line
        raise source.fault(at.start, "this subtitle has no line of times", _CURE)


def _cue(source: Source, lines: list[TextLine], times: re.Match[str], first: int, end: int, number: int) -> Cue:
    last = lines[end - 1] if end > first else None
    start = lines[first].start if first < len(lines) else len(source.text)
    stop = last.start + len(last.text) if last else start
    for text_line in lines[first:end]:
        if "-->" in text_line.text:
            raise source.fault(text_line.start, "this is no line of times", _CURE)
    values = [int(each) for each in times.groups()]
    return Cue(
        start,
        stop,
        source.text[start:stop],
        _seconds(values[:4]),
        _seconds(values[4:]),
        f"subtitle {number}, {source.place(start)}",
        start,
    )


def _seconds(parts: list[int]) -> float:
    return parts[0] * 3600 + parts[1] * 60 + parts[2] + parts[3] / 1000


FORMAT = FileFormat(name="srt", suffixes=(".srt",), read=_read)
