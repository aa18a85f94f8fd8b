"""Tests of the ledger of `translate_many` without a channel: each item is yielded once, even if streams break."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer import ConnectionFailedError, InvalidArgumentError, ServerError, TranslatedItem
from latimer._ledger import READ_AHEAD_CHARACTERS, READ_AHEAD_ITEMS, Ledger
from latimer.v1 import translation_pb2 as pb

GONE = ConnectionFailedError("gone", code="UNAVAILABLE")


def make_ledger(*, ordered: bool = True, raise_errors: bool = False) -> Ledger:
    return Ledger("pt", "en", {}, ordered=ordered, raise_errors=raise_errors)


def send_all(ledger: Ledger) -> list[pb.StreamTranslateTextRequest]:
    return list(iter(ledger.next_request, None))


def answer(*items: pb.StreamItem) -> pb.StreamTranslateTextResponse:
    return pb.StreamTranslateTextResponse(
        results=[
            pb.StreamResult(
                item_id=item.item_id,
                result=pb.TranslationResult(
                    translations=[pb.Translation(translated_text=item.content.upper(), target_language_code="pt")]
                ),
            )
            for item in items
        ]
    )


def items_of(requests: list[pb.StreamTranslateTextRequest]) -> list[pb.StreamItem]:
    return [item for request in requests for item in request.items]


def give_all(ledger: Ledger) -> Iterator[TranslatedItem]:
    """Yields the results that are ready, and makes room for as many items."""
    answers = ledger.take()
    yield from map(ledger.read, answers)
    ledger.release(answers)


def test_the_config_is_sent_first_and_once_per_stream() -> None:
    ledger = Ledger(
        ["pt", "es"], None, {"model": "m", "disable_cache": True, "beam_size": 2}, ordered=False, raise_errors=False
    )
    first = ledger.next_request()
    assert first is not None
    assert list(first.config.target_language_codes) == ["pt", "es"]
    assert (first.config.model, first.config.ordered, first.config.options.disable_cache) == ("m", False, True)
    assert first.config.options.decoding.beam_size == 2
    assert ledger.next_request() is None
    ledger.add("One.")
    (second,) = send_all(ledger)
    assert not second.HasField("config")
    ledger.begin_again(GONE)
    (again,) = send_all(ledger)
    assert again.HasField("config")
    assert [item.content for item in again.items] == ["One."]


@pytest.mark.parametrize("options", [{"sentence_spliting": "off"}, {"include_segments": "perhaps"}])
def test_an_invalid_option_is_refused_before_anything_is_sent(options: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError):
        Ledger("pt", None, options, ordered=True, raise_errors=False)


def test_results_have_the_keys_of_their_items() -> None:
    ledger = make_ledger()
    for given_item in ("One.", ("k", "Two."), (("a", 1), "Three.")):
        ledger.add(given_item)
    ledger.settle(answer(*items_of(send_all(ledger))))
    assert [(r.index, r.key, r.source_text, r.text) for r in give_all(ledger)] == [
        (0, None, "One.", "ONE."),
        (1, "k", "Two.", "TWO."),
        (2, ("a", 1), "Three.", "THREE."),
    ]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (7, "int"),
        (None, "None"),
        (float("nan"), "NaN"),
        (b"bytes", "bytes"),
        ({"key": "text"}, "dict"),
        (("key", 7), "int"),
        (("a", "b", "c"), "tuple"),
        (["key", "text"], "list"),
    ],
)
def test_an_item_that_is_no_text_is_an_error_in_its_place(bad: object, named: str) -> None:
    ledger = make_ledger()
    for given_item in ("One.", bad, "Three."):
        ledger.add(given_item)
    ledger.settle(answer(*items_of(send_all(ledger))))
    first, failed, last = give_all(ledger)
    assert (first.text, last.text) == ("ONE.", "THREE.")
    assert (failed.text, failed.source_text) == ("", "")
    with pytest.raises(InvalidArgumentError, match=f"item 1 is {named}"):
        raise failed.error or AssertionError


def test_an_item_that_does_not_fit_into_a_message_is_an_error_in_its_place() -> None:
    ledger = make_ledger()
    for text in ("One.", "x" * 1_000_001, "a\ud800b", "Four."):
        ledger.add(text)
    sent = items_of(send_all(ledger))
    assert [item.content for item in sent] == ["One.", "", "", "Four."]
    ledger.settle(answer(*sent))
    results = list(give_all(ledger))
    assert [result.text for result in results] == ["ONE.", "", "", "FOUR."]
    assert [bool(result.error) for result in results] == [False, True, True, False]
    assert "at most 1000000" in str(results[1].error)
    assert "lone surrogate" in str(results[2].error)
    assert results[1].translations[0].target_language == "pt"


def test_an_error_of_an_item_is_raised_if_requested() -> None:
    ledger = make_ledger(raise_errors=True)
    ledger.add("x" * 1_000_001)
    ledger.settle(answer(*items_of(send_all(ledger))))
    with pytest.raises(InvalidArgumentError, match="at most 1000000"):
        list(give_all(ledger))


def test_messages_are_bounded_and_a_large_item_is_sent_alone() -> None:
    ledger = make_ledger()
    texts = ["a"] * 300 + ["b" * 20_000] * 3 + ["c" * 900_000, "d"]
    for text in texts:
        ledger.add(text)
    requests = send_all(ledger)
    assert [item.content for item in items_of(requests)] == texts
    for request in requests:
        assert len(request.items) <= 128
        assert len(request.items) == 1 or sum(len(item.content) for item in request.items) <= 32_768


def test_a_large_first_item_is_not_sent_with_the_config() -> None:
    """A config may have 3 MB and an item 4 MB, but a message at most 4 MB."""
    ledger = make_ledger()
    ledger.add("c" * 900_000)
    config, first = send_all(ledger)
    assert config.HasField("config")
    assert (len(config.items), len(first.items)) == (0, 1)


def test_sending_stops_at_the_bounds_and_continues_as_results_are_yielded() -> None:
    ledger = make_ledger()
    rooms = []
    for _ in range(READ_AHEAD_ITEMS):
        rooms.append(ledger.has_room)
        ledger.add("a")
    assert all(rooms)
    rooms = [ledger.has_room]
    sent = items_of(send_all(ledger))
    ledger.settle(answer(*sent[:1]))
    rooms.append(ledger.has_room)  # answered, but not yet yielded
    assert list(give_all(ledger))
    rooms.append(ledger.has_room)
    assert rooms == [False, False, True]
    ledger = make_ledger()
    ledger.add("a" * READ_AHEAD_CHARACTERS)
    assert not ledger.has_room


def test_a_stream_that_ends_early_without_a_status_is_an_error_of_the_server() -> None:
    ledger = make_ledger()
    ledger.add("One.")
    ledger.is_exhausted = True
    send_all(ledger)
    with pytest.raises(ServerError, match="1 items unanswered"):
        ledger.check_end()
    ledger.settle(answer(pb.StreamItem(item_id="0", content="One.")))
    ledger.check_end()


def test_attempts_without_an_answer_are_bounded_and_an_answer_resets_the_count() -> None:
    ledger = make_ledger()
    for index in range(3):
        ledger.add(f"Number {index}.")
    for _ in range(2):
        waits = [ledger.begin_again(GONE) for _ in range(7)]
        assert waits == sorted(waits, key=lambda wait: round(wait, -1))
        assert 0.1 < waits[0] < 0.3 < waits[-1] < 4
        ledger.settle(answer(items_of(send_all(ledger))[0]))
    for _ in range(7):
        ledger.begin_again(GONE)
    with pytest.raises(ConnectionFailedError):
        ledger.begin_again(GONE)


def test_the_delay_that_the_server_requests_is_used() -> None:
    ledger = make_ledger()
    assert 7 < ledger.begin_again(ConnectionFailedError("draining", retry_after=10)) < 13


def test_only_an_unavailable_server_is_retried() -> None:
    with pytest.raises(ServerError):
        make_ledger().begin_again(ServerError("broken"))


@given(st.integers(0, 40), st.booleans(), st.randoms(use_true_random=True))
def test_each_item_is_yielded_once_even_if_streams_break(count: int, ordered: bool, draw: random.Random) -> None:
    """The server answers some items and disconnects, repeatedly; late answers arrive twice."""
    ledger = make_ledger(ordered=ordered)
    texts = [f"text {index}" for index in range(count)]
    results: list[TranslatedItem] = []
    earlier: list[pb.StreamItem] = []
    while not ledger.is_settled:
        sent: list[pb.StreamItem] = []
        for _ in range(draw.randint(1, 4)):
            taken, texts = texts[: (size := draw.randint(0, 15))], texts[size:]
            for text in taken:
                ledger.add(text)
            sent += items_of(send_all(ledger))
        ledger.is_exhausted = not texts and draw.random() < 0.5
        if not ordered:
            draw.shuffle(sent)
        done = draw.randint(0, len(sent))
        ledger.settle(answer(*sent[:done]))
        ledger.settle(answer(*earlier))
        results += give_all(ledger)
        earlier = sent[:done]
        if done:
            ledger.begin_again(GONE)
        elif sent:
            ledger.settle(answer(*sent))
            results += give_all(ledger)
    assert sorted(result.index for result in results) == list(range(count))
    assert all(result.text == f"TEXT {result.index}" for result in results)
    if ordered:
        assert [result.index for result in results] == list(range(count))
