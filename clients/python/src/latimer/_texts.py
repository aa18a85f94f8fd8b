"""Checks the texts of a call, and divides them into requests within the contract's limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from latimer.errors import InvalidArgumentError, LatimerError

# The contract's limits of one request. The limit in bytes keeps a message below gRPC's default limit of 4 MiB.
_MAX_CONTENTS = 1_024
_MAX_CONTENT_CHARACTERS = 1_000_000
_MAX_TOTAL_CHARACTERS = 2_000_000
_MAX_TOTAL_BYTES = 4_050_000
# The bytes of a text's tag and length in a message.
_OVERHEAD = 8


@dataclass(frozen=True)
class Chunk:
    """The texts of one request, and their indices in the caller's list."""

    indices: tuple[int, ...]
    contents: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The texts of a call, divided into requests.

    `errors`: by index, the errors of texts that no request can contain. `count`: the number of all texts.
    """

    chunks: tuple[Chunk, ...]
    errors: Mapping[int, LatimerError]
    count: int


def check_texts(texts: object, name: str = "text") -> None:
    """Raises `InvalidArgumentError` unless `texts` is a text or an iterable that can hold texts, each once."""
    if isinstance(texts, str):
        return
    kind = type(texts).__name__
    if isinstance(texts, Mapping):
        raise InvalidArgumentError(
            f"{name} is a {kind}, whose keys would be translated; pass a list of its values, list(mapping.values())"
        )
    if isinstance(texts, (bytes, bytearray, memoryview)):
        raise InvalidArgumentError(f"{name} is {kind}; decode it to str first")
    if getattr(texts, "ndim", 1) != 1:
        raise InvalidArgumentError(f"{name} is a {kind} of {getattr(texts, 'ndim', 0)} dimensions; pass one column")
    if not hasattr(texts, "__iter__"):
        raise InvalidArgumentError(f"{name} is {_describe(texts)}; it must be a str, or an iterable of str")


def plan_contents(texts: Iterable[object]) -> Plan:
    """Divides texts into requests within the limits."""
    chunks: list[Chunk] = []
    errors: dict[int, LatimerError] = {}
    indices: list[int] = []
    contents: list[str] = []
    characters = size = count = 0
    for index, text in enumerate(texts):
        count += 1
        error = find_fault(text, index)
        if error is not None or not isinstance(text, str):
            errors[index] = error or InvalidArgumentError(f"item {index} is no text")
            continue
        encoded = (len(text) if text.isascii() else len(text.encode())) + _OVERHEAD
        full = len(contents) == _MAX_CONTENTS or characters + len(text) > _MAX_TOTAL_CHARACTERS
        if contents and (full or size + encoded > _MAX_TOTAL_BYTES):
            chunks.append(Chunk(tuple(indices), tuple(contents)))
            indices, contents, characters, size = [], [], 0, 0
        indices.append(index)
        contents.append(text)
        characters += len(text)
        size += encoded
    if contents:
        chunks.append(Chunk(tuple(indices), tuple(contents)))
    return Plan(tuple(chunks), errors, count)


def find_fault(text: object, index: int) -> InvalidArgumentError | None:
    """Returns the error of an object that is no text, or of a text that no message can contain; None for a valid
    text."""
    if not isinstance(text, str):
        return InvalidArgumentError(f"item {index} is {_describe(text)}; it must be a str")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return InvalidArgumentError(
                f"item {index} cannot be encoded in UTF-8: it has a lone surrogate at code point {error.start}"
            )
    if len(text) > _MAX_CONTENT_CHARACTERS:
        rule = f"has {len(text)} code points; at most {_MAX_CONTENT_CHARACTERS} are allowed"
        return InvalidArgumentError(f"item {index} {rule}", violations=((f"contents[{index}]", rule),))
    return None


def _describe(value: object) -> str:
    """Names an object that is no text without quoting it."""
    if value is None:
        return "None"
    if isinstance(value, float) and math.isnan(value):
        return "NaN (a missing value of a table?)"
    return type(value).__name__
