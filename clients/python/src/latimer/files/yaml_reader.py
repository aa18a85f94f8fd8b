"""A reader of YAML that yields the scalars with their paths and places. The parser is that of ruamel.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)

from latimer.files.key_paths import Step
from latimer.files.splices import Source

_MAX_DEPTH = 1_000
# The parser takes time for each level of brackets at each token, so a small deep file would take minutes.
_MAX_FLOW_DEPTH = 100
# The parser takes seconds for the first of them.
_TOO_DEEP = re.compile(rf"(?:[\[{{][ \t\r\n]*){{{_MAX_DEPTH + 1}}}")
# The properties of a node, before its scalar: anchor, tag, and the spaces and comments between.
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:[ \t]+|(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\n|\r))+[ \t]*))*")
# Plain scalars that are no strings by YAML 1.2 or 1.1, whose `yes` and `no` Rails still reads as truth values.
_NOT_TEXT = re.compile(
    r"(?:~|null|true|false|yes|no|on|off|y|n|<<|=)?$|[-+]?(?:\.inf|\.nan)$|[-+.\d][\d_,.:eExXoOa-fA-F+-]*$|"
    r"\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?$",
    re.IGNORECASE,
)
_TEXT_TAGS = ("", "!", "tag:yaml.org,2002:str")


@dataclass(frozen=True)
class YamlScalar:
    """A scalar that is a string. `start` and `end`: of its source without anchor and tag. `style`: `'`, `"`, `|`, `>`,
    or "" for a plain one. `is_key`: True for the key of a mapping."""

    path: tuple[Step, ...]
    start: int
    end: int
    value: str
    style: str
    is_flow: bool
    is_key: bool = False


@dataclass
class _Level:
    """An open collection. `step`: the key or number of its current member."""

    is_mapping: bool
    is_flow: bool
    step: Step
    expects_key: bool


def read_scalars(source: Source) -> list[YamlScalar]:
    """Returns the strings of a YAML file, keys included. Raises `FileError` with the line of a syntax error."""
    deep = _TOO_DEEP.search(source.text)
    if deep:
        raise source.fault(deep.start(), f"it is nested more than {_MAX_DEPTH:,} levels deep")
    try:
        return list(_walk(source))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = min(mark.index, len(source.text)) if mark else 0
        raise source.fault(offset, f"it is no YAML: {error.problem or error.context}", "mend this line") from error
    except (YAMLError, ValueError) as error:
        raise source.fault(
            0, f"it is no YAML ({type(error).__name__})", "check the file with a YAML validator"
        ) from error


def is_text(written: str) -> bool:
    """Returns True if a plain scalar is a string, and not a number, truth value, date or null."""
    return _NOT_TEXT.match(written) is None


def parse(text: str) -> Iterator[Event]:
    """Yields the events of a text."""
    return iter(YAML(typ="safe", pure=True).parse(text))


def _walk(source: Source) -> Iterator[YamlScalar]:
    levels: list[_Level] = []
    for event in parse(source.text):
        if isinstance(event, DocumentStartEvent):
            levels.clear()
        elif isinstance(event, CollectionEndEvent):
            levels.pop()
            _advance(levels, "")
        elif isinstance(event, CollectionStartEvent):
            if len(levels) == _MAX_DEPTH:
                raise source.fault(event.start_mark.index, f"it is nested more than {_MAX_DEPTH:,} levels deep")
            if event.flow_style and sum(level.is_flow for level in levels) == _MAX_FLOW_DEPTH:
                reason = f"its brackets are nested more than {_MAX_FLOW_DEPTH} levels deep"
                raise source.fault(event.start_mark.index, reason, "write the outer levels on lines of their own")
            is_mapping = isinstance(event, MappingStartEvent)
            levels.append(_Level(is_mapping, bool(event.flow_style), "" if is_mapping else 0, is_mapping))
        elif isinstance(event, AliasEvent):
            _advance(levels, "")
        elif isinstance(event, ScalarEvent):
            is_key = bool(levels) and levels[-1].expects_key
            if _is_string(event):
                yield _scalar(source, event, levels, is_key=is_key)
            _advance(levels, str(event.value))


def _advance(levels: list[_Level], value: str) -> None:
    """Goes to the next member of the innermost collection. `value`: of the scalar that ends here, if it is a key."""
    if not levels:
        return
    level = levels[-1]
    if not level.is_mapping:
        level.step = int(level.step) + 1
    elif level.expects_key:
        level.step, level.expects_key = value, False
    else:
        level.expects_key = True


def _is_string(event: ScalarEvent) -> bool:
    tag = str(event.ctag or "")
    if tag not in _TEXT_TAGS:
        return False
    return bool(event.style) or tag != "" or is_text(str(event.value))


def _scalar(source: Source, event: ScalarEvent, levels: list[_Level], *, is_key: bool) -> YamlScalar:
    start = event.start_mark.index
    match = _PROPERTIES.match(source.text, start, event.end_mark.index)
    outer = levels[:-1] if is_key else levels
    path = (*(level.step for level in outer), str(event.value)) if is_key else tuple(level.step for level in outer)
    is_flow = any(level.is_flow for level in levels)
    begin = match.end() if match else start
    return YamlScalar(path, begin, event.end_mark.index, str(event.value), event.style or "", is_flow, is_key)
