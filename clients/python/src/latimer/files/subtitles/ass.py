r"""Advanced SubStation Alpha (.ass) and SubStation Alpha (.ssa): a unit is the text of a `Dialogue:` line.

All sections, fields, times and override tags stay. Drawings (`{\p1}`) and karaoke (`{\k20}`) are not translated. A
line `Comment:` before a dialogue names the flags of an uncertain unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latimer.files.document import FileFormat, ReadOptions
from latimer.files.encoding import find_encoding
from latimer.files.splices import Passage, Source, SplicedDocument, whole_file
from latimer.files.subtitles.cues import Cue, Dialect, read_passages
from latimer.files.subtitles.text_lines import TextLine, split_lines

_TIME = re.compile(r"\s*(\d+):(\d{1,2}):(\d{1,2})[.:](\d{1,3})\s*$")
_NOT_SPEECH = re.compile(r"\{[^{}]*\\(?:p[1-9]|[kK][of]?\d)")
_BREAK = re.compile(r"\\[Nn]")


@dataclass(frozen=True)
class _Fields:
    """The fields of the lines of events, in lower case."""

    names: tuple[str, ...]

    def read(self, source: Source, line: TextLine, number: int) -> Cue | None:
        values = line.text[len("Dialogue:") :].split(",", len(self.names) - 1)
        if len(values) < len(self.names):
            raise source.fault(
                line.start,
                f"this line has {len(values)} fields, its Format {len(self.names)}",
                "check that it is whole",
            )
        fields = dict(zip(self.names, values, strict=True))
        payload = values[-1]
        if _NOT_SPEECH.search(payload):
            return None
        begin, finish = (self._seconds(source, line, fields.get(name, "")) for name in ("start", "end"))
        voice = ",".join(fields.get(name, "").strip() for name in ("style", "name", "actor", "layer"))
        end = line.start + len(line.text)
        place = f"dialogue {number}, {source.place(line.start)}"
        return Cue(end - len(payload), end, payload, begin, finish, place, line.start, voice)

    def _seconds(self, source: Source, line: TextLine, written: str) -> float:
        match = _TIME.match(written)
        if match is None:
            raise source.fault(line.start, "this line has no time", "write it like 0:00:01.00")
        return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]) + float(f"0.{match[4]}")


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    return SplicedDocument(path, encoding, partial(whole_file, path, encoding, _passages))


def _passages(source: Source) -> Iterator[Passage]:
    line_end = source.line_end

    def comment(cue: Cue, text: str) -> str:
        return "Comment:" + source.text[cue.mark + len("Dialogue:") : cue.start] + text + line_end

    dialect = Dialect(r"\N", _BREAK.split, _decode, _encode, comment)
    yield from read_passages(list(_cues(source)), dialect)


def _cues(source: Source) -> Iterator[Cue]:
    section = ""
    fields: _Fields | None = None
    number = 0
    sections: set[str] = set()
    for line in split_lines(source.text):
        kind, _, rest = line.text.partition(":")
        if line.text.startswith("["):
            section = line.text.strip().lower()
            sections.add(section)
        elif section == "[events]" and kind == "Format":
            names = tuple(name.strip().lower() for name in rest.split(","))
            if names[-1] != "text":
                raise source.fault(line.start, "the last field of Format is not Text", "check the section [Events]")
            fields = _Fields(names)
        elif section == "[events]" and kind == "Dialogue":
            if fields is None:
                raise source.fault(line.start, "there is no line Format before this one", "check the section [Events]")
            number += 1
            cue = fields.read(source, line, number)
            if cue:
                yield cue
    if source.text.strip() and not sections & {"[script info]", "[events]"}:
        raise source.fault(0, "there is no section [Script Info] or [Events]", "use --format srt for SubRip")


def _decode(text: str) -> str:
    return text.replace("\\h", "\u00a0").replace("\\{", "{").replace("\\}", "}")


def _encode(text: str) -> str:
    return text.replace("{", "\\{").replace("}", "\\}").replace("\u00a0", "\\h")


FORMAT = FileFormat(
    name="ass",
    suffixes=(".ass", ".ssa"),
    read=_read,
    marks="a line `Comment:` with `latimer: NAME` before the dialogue",
)
