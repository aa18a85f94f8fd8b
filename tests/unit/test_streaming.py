"""Tests of the server's stream without a channel: reading, bounds, answers, errors and clean-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from latimer.v1 import translation_pb2 as pb
from latimer_server.core.errors import (
    DeadlineExceeded,
    InvalidRequest,
    LatimerError,
    NotServed,
    Overloaded,
    Unavailable,
    Violation,
)
from latimer_server.core.usage import Usage
from latimer_server.rpc.servicers.streaming import MOST_HELD, answer_stream
from latimer_server.scheduling import estimate_text_work

E = TypeVar("E", bound=Exception)


class Translator:
    """Echoes groups of texts. Groups with a text for which `hold` is true wait."""

    def __init__(self, hold: Callable[[str], bool] = lambda text: False) -> None:
        self.groups: list[list[str]] = []
        self.withdrawn = 0
        self.release = asyncio.Event()
        self._hold = hold

    async def __call__(self, texts: Sequence[str]) -> tuple[list[pb.TranslationResult], Usage]:
        self.groups.append(list(texts))
        await asyncio.sleep(0)
        try:
            if any(map(self._hold, texts)):
                await self.release.wait()
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        for word, error in ERRORS.items():
            if any(word in text for text in texts):
                raise error
        results = [pb.TranslationResult(translations=[pb.Translation(translated_text=text)]) for text in texts]
        return results, Usage(characters=sum(map(len, texts)), segments=len(texts), cached_segments=1)


class Panic(BaseException):
    """Like the exception of pyo3."""


ERRORS: dict[str, BaseException] = {
    "LATE": DeadlineExceeded("late"),
    "UNLOADED": Unavailable("unloaded"),
    "FULL": Overloaded("full", 1),
    "UNSERVED": NotServed("no such pair"),
    "POISON": RuntimeError("choked on POISON"),
    "PANIC": Panic("POISON"),
    "LARGE": InvalidRequest(Violation("options.include_segments", "would return too many")),
}
CONFIG = pb.StreamTranslateTextRequest(config=pb.StreamTranslateTextConfig(target_language_codes=["pt"]))
ORDERED = pb.StreamTranslateTextRequest(config=pb.StreamTranslateTextConfig(target_language_codes=["pt"], ordered=True))


def message(*texts: str, start: int = 0) -> pb.StreamTranslateTextRequest:
    items = [pb.StreamItem(item_id=str(start + index), content=text) for index, text in enumerate(texts)]
    return pb.StreamTranslateTextRequest(items=items)


class Messages:
    """The messages of a caller; counts the messages that were read."""

    def __init__(self, messages: Iterable[pb.StreamTranslateTextRequest]) -> None:
        self._messages = iter(messages)
        self.read = 0

    def __aiter__(self) -> AsyncIterator[pb.StreamTranslateTextRequest]:
        return self

    async def __anext__(self) -> pb.StreamTranslateTextRequest:
        await asyncio.sleep(0)
        for one in self._messages:
            self.read += 1
            return one
        raise StopAsyncIteration


def open_stream(
    translator: Translator, messages: Iterable[pb.StreamTranslateTextRequest]
) -> tuple[AsyncGenerator[pb.StreamTranslateTextResponse, None], Messages]:
    read = Messages(messages)
    return accepted(answer_stream(read, lambda config: translator)), read


async def accepted(answers: Any) -> AsyncGenerator[pb.StreamTranslateTextResponse, None]:
    """Returns the answers after the first one, which accepts the stream."""
    async with aclosing(answers):
        assert await anext(answers) is None
        async for answer in answers:
            yield answer


async def collect(
    translator: Translator, *messages: pb.StreamTranslateTextRequest
) -> list[pb.StreamTranslateTextResponse]:
    answers, _ = open_stream(translator, messages)
    return [answer async for answer in answers]


async def settle() -> None:
    """Waits until all tasks have proceeded as far as they can."""
    for _ in range(500):
        await asyncio.sleep(0)


def texts_of(answers: Iterable[pb.StreamTranslateTextResponse]) -> dict[str, str]:
    return {
        result.item_id: result.result.translations[0].translated_text for answer in answers for result in answer.results
    }


def errors_of(answers: Iterable[pb.StreamTranslateTextResponse]) -> dict[str, int]:
    found = {}
    for answer in answers:
        for result in answer.results:
            for translation in result.result.translations:
                if translation.HasField("error"):
                    found[result.item_id] = translation.error.code
    return found


def endless(text: str = "A sentence of no importance.", head: str = "") -> Iterable[pb.StreamTranslateTextRequest]:
    yield ORDERED if head else CONFIG
    if head:
        yield message(head, start=-1)
    start = 0
    while True:
        yield message(*[text] * 16, start=start)
        start += 16


async def test_every_item_is_answered_and_the_last_message_has_the_usage() -> None:
    texts = [f"Sentence {number}." for number in range(100)]
    answers = await collect(Translator(), CONFIG, message(*texts[:60]), message(*texts[60:], start=60))
    assert texts_of(answers) == {str(index): text for index, text in enumerate(texts)}
    *results, last = answers
    assert not any(answer.HasField("usage") for answer in results)
    assert not last.results
    assert (last.usage.segments, last.usage.characters) == (100, sum(map(len, texts)))
    assert last.usage.cached_segments > 0


async def test_an_empty_stream_is_answered_with_its_usage() -> None:
    (answer,) = await collect(Translator(), CONFIG)
    assert answer.HasField("usage")


async def test_items_may_come_with_the_config() -> None:
    first = pb.StreamTranslateTextRequest(config=CONFIG.config, items=message("One.").items)
    assert texts_of(await collect(Translator(), first)) == {"0": "One."}


@pytest.mark.parametrize("messages", [[], [message("One.")], [pb.StreamTranslateTextRequest()]])
async def test_a_first_message_without_config_is_refused(messages: list[pb.StreamTranslateTextRequest]) -> None:
    answers, _ = open_stream(Translator(), messages)
    with pytest.raises(InvalidRequest, match="config: is required in the first message"):
        await anext(answers)


@pytest.mark.parametrize(
    ("bad", "field"), [(CONFIG, "config"), (message(*["x"] * 1_025), "items: has 1025 items; at most 1024")]
)
async def test_an_invalid_message_ends_the_stream_after_earlier_items_are_answered(
    bad: pb.StreamTranslateTextRequest, field: str
) -> None:
    answers, read = open_stream(Translator(), [CONFIG, message("One.", "Two."), bad, message("Three.", start=2)])
    given, error = await collect_until(InvalidRequest, answers)
    assert field in str(error)
    assert texts_of(given) == {"0": "One.", "1": "Two."}
    assert read.read == 3


async def test_an_invalid_item_fails_alone() -> None:
    items = [
        pb.StreamItem(item_id="a", content="One."),
        pb.StreamItem(content="No name."),
        pb.StreamItem(item_id="n" * 257, content="A long name."),
        pb.StreamItem(item_id="b", content="x" * 1_000_001),
        pb.StreamItem(item_id="a", content="The same name."),
        pb.StreamItem(item_id="c"),
    ]
    answers = await collect(Translator(), ORDERED, pb.StreamTranslateTextRequest(items=items))
    results = [result for answer in answers for result in answer.results]
    assert [result.item_id for result in results] == [item.item_id for item in items]
    errors = [result.result.translations[0].error for result in results]
    assert [error.code for error in errors] == [0, 3, 3, 3, 0, 0]
    assert [error.message for error in errors[1:4]] == [
        "items[1].item_id: has 0 code points; 1 to 256 are allowed",
        "items[2].item_id: has 257 code points; 1 to 256 are allowed",
        "items[3].content: has 1000001 code points; at most 1000000 are allowed",
    ]


@pytest.mark.parametrize(("word", "code"), [("POISON", 13), ("PANIC", 13), ("LARGE", 3)])
async def test_an_item_that_fails_in_a_group_fails_alone(word: str, code: int) -> None:
    texts = [f"Sentence {number}." for number in range(200)]
    texts[77] = f"This is {word}."
    answers = await collect(Translator(), CONFIG, message(*texts))
    assert errors_of(answers) == {"77": code}
    assert texts_of(answers) == {str(i): "" if i == 77 else text for i, text in enumerate(texts)}
    assert "POISON" not in str(errors_of(answers))


async def test_a_language_pair_that_is_no_longer_served_is_an_error_of_its_items() -> None:
    translator = Translator()
    answers = await collect(translator, CONFIG, message(*["UNSERVED"] * 9))
    assert set(errors_of(answers).values()) == {5}
    assert sum(map(len, translator.groups)) == 9


@pytest.mark.parametrize(
    ("word", "error"), [("LATE", DeadlineExceeded), ("UNLOADED", Unavailable), ("FULL", Overloaded)]
)
async def test_an_error_that_concerns_all_items_ends_the_stream(word: str, error: type[LatimerError]) -> None:
    translator = Translator(lambda text: text == "Never.")
    answers, _ = open_stream(translator, [CONFIG, message("Never."), message(word, start=1)])
    with pytest.raises(error):
        async for _ in answers:
            pass
    assert translator.withdrawn == 1


async def test_a_single_item_does_not_wait_for_others() -> None:
    translator = Translator()
    gate = asyncio.Event()

    async def messages() -> AsyncIterator[pb.StreamTranslateTextRequest]:
        yield CONFIG
        yield message("One.")
        await gate.wait()

    answers = accepted(answer_stream(messages(), lambda config: translator))
    assert texts_of([await anext(answers)]) == {"0": "One."}
    gate.set()
    assert (await anext(answers)).HasField("usage")


async def test_items_that_arrive_one_by_one_are_grouped() -> None:
    translator = Translator(lambda text: text == "First.")
    messages = [CONFIG, *(message("First.", start=index) for index in range(8))]
    messages += [message("A sentence of no importance.", start=index) for index in range(8, 500)]
    answers, _ = open_stream(translator, messages)
    pending = asyncio.ensure_future(collect_all(answers))
    await settle()
    assert [len(group) for group in translator.groups[:8]] == [1] * 8
    assert len(translator.groups) < 8 + 492 // 40
    translator.release.set()
    assert len(texts_of(await pending)) == 500


async def collect_all(
    answers: AsyncIterator[pb.StreamTranslateTextResponse],
) -> list[pb.StreamTranslateTextResponse]:
    return [answer async for answer in answers]


async def collect_until(
    kind: type[E], answers: AsyncIterator[pb.StreamTranslateTextResponse]
) -> tuple[list[pb.StreamTranslateTextResponse], E]:
    """Returns the answers before the error, and the error."""
    given: list[pb.StreamTranslateTextResponse] = []
    try:
        async for answer in answers:
            given += [answer]
    except kind as error:
        return given, error
    raise AssertionError(f"no {kind.__name__}")


async def test_the_first_results_do_not_wait_for_a_large_first_message() -> None:
    translator = Translator(lambda text: text == "A later one.")
    texts = ["A sentence of some length. " * 36, *["A later one."] * 1_000]
    answers, _ = open_stream(translator, [CONFIG, message(*texts)])
    assert set(texts_of([await anext(answers)])) == {"0"}
    translator.release.set()
    assert len(texts_of(await collect_all(answers))) == 1_000
    assert len(translator.groups[0]) == 1
    assert max(map(len, translator.groups)) > 200


async def test_reading_pauses_while_the_caller_does_not_read_answers() -> None:
    text = "A sentence of no importance."
    answers, read = open_stream(Translator(), endless(text))
    async with aclosing(answers):
        taken = 0
        for _ in range(5):
            taken += len((await anext(answers)).results)
            await settle()
            held = 16 * (read.read - 1) - taken
            assert held * estimate_text_work([text]) <= MOST_HELD + 16 * estimate_text_work(
                [text]
            ) + 1_024 * estimate_text_work([text])
        before = read.read
        await settle()
        assert read.read == before


async def test_reading_pauses_while_an_ordered_stream_waits_for_a_slow_item() -> None:
    text = "A sentence of no importance."
    translator = Translator(lambda one: one == "Slow.")
    answers, read = open_stream(translator, endless(text, head="Slow."))
    async with aclosing(answers):
        waiting = asyncio.ensure_future(anext(answers))
        await settle()
        assert not waiting.done()
        assert (
            16 * (read.read - 3) * estimate_text_work([text])
            <= MOST_HELD
            < 16 * (read.read + 1) * estimate_text_work([text])
        )
        translator.release.set()
        results = (await waiting).results
        assert [result.item_id for result in results[:3]] == ["-1", "0", "1"]


async def test_an_item_larger_than_the_bound_is_processed_alone() -> None:
    large = "word " * 200_000
    translator = Translator()
    answers = await collect(translator, ORDERED, message("One.", large, large, "Two."))
    assert list(texts_of(answers).values()) == ["One.", large, large, "Two."]
    assert translator.groups == [["One."], [large], [large], ["Two."]]


async def test_an_answer_message_is_much_smaller_than_the_limit_of_clients() -> None:
    answers = await collect(Translator(), ORDERED, message(*["word " * 10_000] * 40))
    assert len(texts_of(answers)) == 40
    assert all(answer.ByteSize() < 1_000_000 for answer in answers)


async def test_a_closed_stream_leaves_no_tasks() -> None:
    translator = Translator(lambda text: text.startswith("Never"))
    answers, _ = open_stream(translator, [CONFIG, message("One."), *[message(f"Never {i}.") for i in range(9)]])
    before = asyncio.all_tasks()
    await anext(answers)
    await settle()
    await answers.aclose()
    assert translator.withdrawn == len(translator.groups) - 1
    assert asyncio.all_tasks() == before


async def test_an_error_while_reading_is_raised_after_earlier_items_are_answered() -> None:
    translator = Translator()

    async def messages() -> AsyncIterator[pb.StreamTranslateTextRequest]:
        yield CONFIG
        yield message("One.", "Two.")
        raise Unavailable("draining")

    given, _ = await collect_until(Unavailable, accepted(answer_stream(messages(), lambda config: translator)))
    assert texts_of(given) == {"0": "One.", "1": "Two."}
