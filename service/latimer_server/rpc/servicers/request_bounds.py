"""Bounds on every list and string of the request messages, in one table.

They are checked before anything else is done with a message. `tests/unit/test_request_bounds.py` holds the table to the
descriptors of the contract: a new field needs a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from google.protobuf.message import Message

from latimer_server.core.errors import InvalidRequest, Violation
from latimer_server.rpc.error_status import MAX_VIOLATIONS
from latimer_server.rpc.servicers.limits import (
    MAX_CANDIDATES,
    MAX_CONTENT_CHARACTERS,
    MAX_CONTENTS,
    MAX_ITEM_ID,
    MAX_LANGUAGE_CODE,
    MAX_MODEL_NAME,
    MAX_PATTERNS,
    MAX_PHRASES,
    MAX_TAGS,
    MAX_TARGETS,
    MAX_TERM_CHARACTERS,
    MAX_TERMS,
    describe_range,
)


@dataclass(frozen=True)
class Bound:
    """The bounds of a field. `items`: of a list; None for a single value. `characters`: of each string, in code points;
    None for other types. `least` items and `shortest` string: the smallest that are allowed.
    They appear only in messages here; the code that reads the field checks them.

    `in_stream_item`: the field belongs to one item of a stream, whose errors are the item's and not the stream's; the
    stream checks it.
    """

    items: int | None = None
    characters: int | None = None
    least: int | None = None
    shortest: int | None = None
    in_stream_item: bool = False


_CODE = Bound(characters=MAX_LANGUAGE_CODE)
_CODES = Bound(items=MAX_CANDIDATES, characters=MAX_LANGUAGE_CODE, least=0)
_TARGETS = Bound(items=MAX_TARGETS, characters=MAX_LANGUAGE_CODE, least=1)
_CONTENTS = Bound(items=MAX_CONTENTS, characters=MAX_CONTENT_CHARACTERS, least=1)
_MODEL = Bound(characters=MAX_MODEL_NAME)
_PAGE_TOKEN = Bound(characters=20)
_TERM = Bound(characters=MAX_TERM_CHARACTERS, shortest=1)
_ENUMS = Bound(items=64)

# By the full name of a message and the name of its field.
BOUNDS: Mapping[str, Mapping[str, Bound]] = {
    "latimer.v1.TranslateTextRequest": {
        "contents": _CONTENTS,
        "source_language_code": _CODE,
        "target_language_codes": _TARGETS,
        "model": _MODEL,
    },
    "latimer.v1.TranslateOptions": {
        "syntaxes": _ENUMS,
        "patterns": Bound(items=MAX_PATTERNS, characters=MAX_TERM_CHARACTERS, shortest=1),
        "phrases": Bound(items=MAX_PHRASES, characters=MAX_TERM_CHARACTERS, shortest=1),
        "ignore_tags": Bound(items=MAX_TAGS, characters=MAX_TERM_CHARACTERS, shortest=1),
        "glossary_terms": Bound(items=MAX_TERMS),
        "candidate_language_codes": _CODES,
        "fallback_language_code": _CODE,
        "error_flags": _ENUMS,
    },
    "latimer.v1.GlossaryTerm": {"source_text": _TERM, "target_text": _TERM},
    "latimer.v1.StreamTranslateTextRequest": {"items": Bound(items=MAX_CONTENTS)},
    "latimer.v1.StreamTranslateTextConfig": {
        "source_language_code": _CODE,
        "target_language_codes": _TARGETS,
        "model": _MODEL,
    },
    "latimer.v1.StreamItem": {
        "item_id": Bound(characters=MAX_ITEM_ID, in_stream_item=True),
        "content": Bound(characters=MAX_CONTENT_CHARACTERS, in_stream_item=True),
    },
    "latimer.v1.DetectLanguageRequest": {"contents": _CONTENTS, "candidate_language_codes": _CODES},
    "latimer.v1.ListLanguagePairsRequest": {
        "source_language_code": _CODE,
        "target_language_code": _CODE,
        "page_token": _PAGE_TOKEN,
    },
    "latimer.v1.SummarizeTextRequest": {
        "contents": _CONTENTS,
        "language_code": _CODE,
        "output_language_code": _CODE,
        "model": _MODEL,
        "fallback_language_code": _CODE,
    },
    "latimer.v1.ListModelsRequest": {
        "source_language_code": _CODE,
        "target_language_code": _CODE,
        "page_token": _PAGE_TOKEN,
    },
    "latimer.v1.GetModelRequest": {"name": _MODEL},
    "latimer.v1.LoadModelRequest": {"name": _MODEL},
    "latimer.v1.UnloadModelRequest": {"name": _MODEL},
}


def check_bounds(message: Message) -> None:
    """Raises `InvalidRequest` that names each field beyond its bounds, at most 16 of them. Takes time in proportion to
    the bounds, whatever the message holds."""
    violations = tuple(islice(_find_violations(message, ""), MAX_VIOLATIONS))
    if violations:
        raise InvalidRequest(*violations)


def _find_violations(message: Message, prefix: str) -> Iterator[Violation]:
    bounds = BOUNDS.get(message.DESCRIPTOR.full_name, {})
    for descriptor, value in message.ListFields():
        bound = bounds.get(descriptor.name)
        field = f"{prefix}{descriptor.name}"
        if bound is None or bound.items is None:
            yield from _check_value(value, field, bound)
        elif len(value) > bound.items:
            yield Violation(field, f"has {len(value)} items; {describe_range(bound.least, bound.items)} are allowed")
        elif descriptor.message_type or (bound.characters is not None and max(map(len, value)) > bound.characters):
            # Nearly every list of texts fits, and then needs no name for each of them.
            for index, item in enumerate(value):
                yield from _check_value(item, f"{field}[{index}]", bound)


def _check_value(value: object, field: str, bound: Bound | None) -> Iterator[Violation]:
    if isinstance(value, Message):
        yield from _find_violations(value, f"{field}.")
        return
    most = bound.characters if bound and not bound.in_stream_item else None
    if bound and most is not None and isinstance(value, str) and len(value) > most:
        span = describe_range(bound.shortest, most)
        yield Violation(field, f"has {len(value)} code points; {span} are allowed")
