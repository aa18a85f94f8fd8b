"""Cues as units: a sentence over several cues is one unit, whose translation is divided over them again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from latimer.files.document import Translated, Unit
from latimer.files.splices import Edit, Passage, has_letter
from latimer.files.subtitles.inline import Inline, read_inline, write_inline
from latimer.files.subtitles.layout import TAG, divide, join_lines, width_of, wrap

# Columns of a line, as the guides of broadcasters and Netflix have them for the Latin script.
_WIDTH = 42
_LONGEST = 80
_LINES = 2
# Cues of two lines in a file whose longest line is taken as its rule.
_ENOUGH = 10
# Bounds of a sentence over several cues: cues, seconds between two of them, code points.
_MAX_CUES, _MAX_GAP, _MAX_LENGTH = 6, 1.5, 400
_DASH = re.compile(r"\s*[-‐–—]\s*\S")
_SENTENCE_END = re.compile(r"[.!?:;…♪♫。！？]['\"”’)\]»」』]*$")


@dataclass(frozen=True)
class Cue:
    """A subtitle. `start` and `end`: of its text in the file. `begin` and `finish`: seconds. `voice`: what makes cues
    the speech of one person, such as speaker and style. `mark`: where a comment about it can stand."""

    start: int
    end: int
    payload: str
    begin: float
    finish: float
    place: str
    mark: int
    voice: str = ""


@dataclass(frozen=True)
class Dialect:
    """The form of text in a format. `line_break`: between the lines of a cue, as written. `split`: returns the lines of
    a payload. `decode` and `encode`: the escapes of a text. `comment`: returns the comment about a cue, if there are
    comments."""

    line_break: str
    split: Callable[[str], list[str]]
    decode: Callable[[str], str]
    encode: Callable[[str], str]
    comment: Callable[[Cue, str], str] | None = None


@dataclass(frozen=True)
class _Read:
    """A cue with its text. `lines`: its number of lines. `is_dialogue`: each line is the speech of another person."""

    cue: Cue
    inline: Inline
    lines: int
    is_dialogue: bool


@dataclass(frozen=True)
class _Layout:
    width: int
    lines: int


def read_passages(cues: Sequence[Cue], dialect: Dialect) -> Iterator[Passage]:
    """Yields the passages of the cues of a file."""
    layout = _find_layout(cues, dialect)
    for group in _group([_read(cue, dialect) for cue in cues]):
        text = join_lines([each.inline.text for each in group]) if len(group) > 1 else group[0].inline.text
        if has_letter(TAG.sub("", text)):
            first = group[0]
            unit = Unit(text=text, place=first.cue.place, form=first.inline.form, context=first.cue.voice)
            yield _passage(unit, group, dialect, layout)


def _passage(unit: Unit, group: list[_Read], dialect: Dialect, layout: _Layout) -> Passage:
    def edit(translations: Sequence[Translated]) -> list[Edit]:
        translated = translations[0]
        flags = list(translated.flags) if translated.text is not None else ["NOT_TRANSLATED", *translated.flags]
        edits: list[Edit] = []
        if translated.text is not None and translated.text != unit.text:
            parts = _divide(translated.text, group)
            for each, part in zip(group, parts, strict=True):
                written, is_whole = _write(part, each, dialect, layout)
                if not is_whole:
                    flags.append("MARKUP_LOST")
                edits.append(Edit(each.cue.start, each.cue.end, written))
        if flags and dialect.comment:
            cue = group[0].cue
            comment = dialect.comment(cue, "latimer: " + ", ".join(dict.fromkeys(flags)))
            edits.insert(0, Edit(cue.mark, cue.mark, comment))
        return edits

    return Passage((unit,), edit)


def _divide(text: str, group: list[_Read]) -> list[str]:
    if len(group) == 1:
        return [text]
    return divide(text, [width_of(each.inline.text) for each in group])


def _write(text: str, read: _Read, dialect: Dialect, layout: _Layout) -> tuple[str, bool]:
    written, is_whole = write_inline(text, read.inline, dialect.encode)
    if read.is_dialogue:
        speeches = [speech for speech in written.split("\n") if speech.strip()]
        lines = [line for speech in speeches for line in wrap(speech, layout.width, 1, layout.lines)]
    else:
        lines = wrap(written, layout.width, read.lines, max(layout.lines, read.lines))
    return dialect.line_break.join(lines), is_whole


def _read(cue: Cue, dialect: Dialect) -> _Read:
    lines = [line for line in dialect.split(cue.payload) if line.strip()]
    is_dialogue = sum(bool(_DASH.match(TAG.sub("", line))) for line in lines) > 1
    payload = "\n".join(line.strip() for line in lines) if is_dialogue else join_lines(lines)
    return _Read(cue, read_inline(payload, dialect.decode), len(lines), is_dialogue)


def _group(reads: list[_Read]) -> Iterator[list[_Read]]:
    held: list[_Read] = []
    for each in reads:
        length = sum(len(one.inline.text) for one in held)
        if held and not (len(held) < _MAX_CUES and length < _MAX_LENGTH and _continues(held[-1], each)):
            yield held
            held = []
        held.append(each)
    if held:
        yield held


def _continues(first: _Read, second: _Read) -> bool:
    """Returns True if a sentence goes on in the next cue: it is not ended, and the next starts with a small letter."""
    if first.is_dialogue or second.is_dialogue or "html" in (first.inline.form, second.inline.form):
        return False
    if first.cue.voice != second.cue.voice or first.inline.before != second.inline.before:
        return False
    if not second.cue.begin - first.cue.begin >= 0 or second.cue.begin - first.cue.finish > _MAX_GAP:
        return False
    end, start = first.inline.text.strip(), second.inline.text.strip()
    return (
        bool(end) and not _SENTENCE_END.search(end) and start[:1].isalpha() and (start[0].islower() or end[-1] == ",")
    )


def _find_layout(cues: Sequence[Cue], dialect: Dialect) -> _Layout:
    widest = most = several = 0
    for cue in cues:
        lines = [line for line in dialect.split(cue.payload) if line.strip()]
        most = max(most, len(lines))
        several += len(lines) > 1
        widest = max(widest, *(width_of(dialect.decode(line)) for line in lines), 0)
    width = widest if several >= _ENOUGH else max(widest, _WIDTH)
    return _Layout(min(width, max(_LONGEST, _WIDTH)), max(most, _LINES))
