"""Counts the characters of a message for quotas, as `Usage.characters` does: code points of the contents, times the
number of target languages. An item of a stream without text counts as one character, since it costs work too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from google.protobuf.message import Message


class CharacterCounter:
    """Counts the messages of one call. A stream names its target languages in the first."""

    def __init__(self) -> None:
        self._targets = 1

    def count(self, message: Message) -> int:
        """Returns the characters of the next message of the call.

        A message of a type that is not listed counts with all its strings, so that no text passes uncounted.
        """
        kind: Any = message
        name = message.DESCRIPTOR.full_name
        match name:
            case "latimer.v1.TranslateTextRequest":
                return sum(map(len, kind.contents)) * max(1, len(kind.target_language_codes))
            case "latimer.v1.StreamTranslateTextRequest":
                if kind.HasField("config"):
                    self._targets = max(1, len(kind.config.target_language_codes))
                return sum(max(1, len(item.content)) for item in kind.items) * self._targets
            case "latimer.v1.SummarizeTextRequest" | "latimer.v1.DetectLanguageRequest":
                return sum(map(len, kind.contents))
        return 0 if name.startswith(_WITHOUT_TEXT) else _count_strings(message)


def divide_items(message: Message) -> Iterator[Message]:
    """Yields a message of a stream as messages of one item each; any other message as it is."""
    items = getattr(message, "items", ())
    if len(items) < 2:
        yield message
        return
    for index, item in enumerate(items):
        part: Any = type(message)(items=[item])
        if index == 0 and message.HasField("config"):
            part.config.CopyFrom(cast(Any, message).config)
        yield part


# Messages that carry names and codes only.
_WITHOUT_TEXT = ("latimer.v1.List", "latimer.v1.Get", "latimer.v1.Load", "latimer.v1.Unload", "grpc.")


def _count_strings(message: Message) -> int:
    return sum(_count_value(value) for _, value in message.ListFields())


def _count_value(value: Any) -> int:  # noqa: ANN401 (a value of any field)
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Message):
        return _count_strings(value)
    if isinstance(value, (bytes, int, float)):
        return 0
    items = value.values() if isinstance(value, Mapping) else value
    return sum(map(_count_value, items))
