"""The settings of a client: addresses, tokens, timeouts and retries are checked when they are given."""

from __future__ import annotations

from typing import Any

import pytest

from latimer import TLS, AsyncClient, Client, ConnectionFailedError, InvalidArgumentError, OverloadedError, Retry
from latimer import _channel as channel
from latimer._addresses import Balancer, parse_addresses
from latimer._deadline import Deadline

GONE = ConnectionFailedError("gone", code="UNAVAILABLE")


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("localhost:50051", ("localhost:50051",)),
        (" mt.example.org:443 ", ("mt.example.org:443",)),
        ("[::1]:50051", ("[::1]:50051",)),
        ("a:1,b:2, c:3", ("a:1", "b:2", "c:3")),
        (["a:1", "b:2"], ("a:1", "b:2")),
        ("dns:///mt.example.org:443", ("dns:///mt.example.org:443",)),
        ("ipv4:10.0.0.1:50051,10.0.0.2:50051", ("ipv4:10.0.0.1:50051,10.0.0.2:50051",)),
        ("unix:/run/latimer.sock", ("unix:/run/latimer.sock",)),
    ],
)
def test_addresses(given: Any, parsed: tuple[str, ...]) -> None:
    assert parse_addresses(given) == parsed


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ("localhost", "HOST:PORT"),
        ("", "HOST:PORT"),
        (":50051", "HOST:PORT"),
        ("a:1,", "HOST:PORT"),
        ([], "empty list"),
        (50051, "is int"),
        (b"localhost:50051", "is bytes"),
        ([50051], "is int"),
        ("http://localhost:50051/", r"HOST:PORT: localhost:50051$"),
        ("https://mt.example.org:443", r"mt\.example\.org:443 with tls=TLS\(\)"),
        ("::1:50051", "brackets"),
        ("localhost:http", "port must be a number"),
        ("localhost:99999", "port must be a number"),
        ("localhost:50051/v1", "port must be a number"),
        ("my host:50051", "HOST:PORT"),
    ],
)
def test_a_wrong_address_is_refused_with_its_cure(given: Any, cure: str) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(InvalidArgumentError, match=cure):
            client(given)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"token": "secret\n"}, "character 6 of 7 of token is a line break"),
        ({"token": "two words"}, "white space"),
        ({"token": "süß"}, "not ASCII"),
        ({"token": b"bytes"}, "token is bytes"),
        ({"timeout": 0}, "timeout is 0; it must be above 0"),
        ({"timeout": -1}, "timeout is -1"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"timeout": "5"}, "timeout is str"),
        ({"timeout": True}, "timeout is bool"),
        ({"tls": True}, "tls is bool"),
        ({"compression": "zip"}, "compression is 'zip'"),
        ({"retry": 3}, "retry is int"),
        ({"retry": Retry(attempts=0)}, "attempts is 0"),
        ({"retry": Retry(first_delay=-1)}, "first_delay is -1"),
        ({"retry": Retry(max_delay=float("inf"))}, "max_delay is inf"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], named: str) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(InvalidArgumentError, match=named) as raised:
            client("localhost:50051", **settings)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize("given", [{"timeout": 0}, {"timeout": -1}, {"timeout": float("nan")}, {"retry": "often"}])
def test_a_wrong_setting_of_one_call_is_raised_also_for_a_list(given: dict[str, Any]) -> None:
    with Client("localhost:1") as client:
        for call in (client.translate, client.translate_many):
            with pytest.raises(InvalidArgumentError, match=next(iter(given))):
                call(["a"], target="pt", **given)
        with pytest.raises(InvalidArgumentError, match=next(iter(given))):
            client.health(**given)


def test_a_token_may_change_from_call_to_call() -> None:
    tokens = iter(["one", "two"])
    connection = make_connection(token=lambda: next(tokens))
    assert connection.metadata(()) == (("authorization", "Bearer one"),)
    assert connection.metadata(()) == (("authorization", "Bearer two"),)
    assert make_connection(token=lambda: None).metadata(()) == ()
    with pytest.raises(InvalidArgumentError, match="line break"):
        make_connection(token=lambda: "a\n").metadata(())


def make_connection(**settings: Any) -> channel.Connection:
    defaults: dict[str, Any] = {
        "timeout": None,
        "token": None,
        "tls": None,
        "retry": None,
        "proxy": None,
        "compression": None,
        "channel_options": (),
    }
    return channel.make_connection("localhost:50051", **{**defaults, **settings})


def test_options_of_the_channel_replace_those_of_the_client() -> None:
    options = dict(make_connection(channel_options=[("grpc.max_receive_message_length", 7), ("a", 1)]).options)
    assert options == {"grpc.max_receive_message_length": 7, "a": 1}
    assert dict(make_connection(proxy="http://localhost:3128").options)["grpc.http_proxy"] == "http://localhost:3128"
    assert dict(make_connection(proxy="").options)["grpc.enable_http_proxy"] == 0
    assert make_connection(tls=TLS()).credentials is not None


def test_only_a_server_that_is_unavailable_is_tried_again_by_default() -> None:
    full = OverloadedError("full", code="RESOURCE_EXHAUSTED", retry_after=9.0)
    assert channel.retry_delay(full, Retry(), 1) is None
    waits = [channel.retry_delay(GONE, Retry(), failures) for failures in range(1, 6)]
    assert waits[-1] is None
    first, *_, last = [wait for wait in waits if wait is not None]
    assert 0.1 < first < 0.3
    assert 1.2 < last < 2.0
    waited = channel.retry_delay(full, Retry(overloaded=True), 1)
    assert waited is not None
    assert 9.0 <= waited <= 9.0 * 1.2


def test_delays_are_bounded() -> None:
    assert 2.4 <= channel.delay_after(GONE, Retry(attempts=10_000), 9_999) <= 3.6


def test_calls_take_turns_among_addresses_and_avoid_those_that_fail() -> None:
    now = 0.0
    balancer = Balancer(3, clock=lambda: now)
    assert [balancer.choose() for _ in range(4)] == [0, 1, 2, 0]
    balancer.record(1, GONE)
    assert [balancer.choose() for _ in range(4)] == [2, 0, 2, 0]
    assert balancer.has_other(2)
    now = 1.5
    assert [balancer.choose() for _ in range(3)] == [1, 2, 0]
    balancer.record(1, GONE)  # a second failure in a row pauses for longer
    now = 2.6
    assert 1 not in [balancer.choose() for _ in range(3)]
    now = 3.6
    assert 1 in [balancer.choose() for _ in range(3)]
    balancer.record(1, OverloadedError("full"))  # an answer of a server
    balancer.record(1, GONE)
    now = 4.7
    assert 1 in [balancer.choose() for _ in range(3)]


def test_if_no_address_is_usable_the_one_that_is_usable_first_is_tried() -> None:
    now = 0.0
    balancer = Balancer(2, clock=lambda: now)
    balancer.record(0, GONE)
    now = 0.5
    balancer.record(1, GONE)
    assert not balancer.has_other(1)
    assert [balancer.choose(), balancer.choose()] == [0, 0]


def test_a_deadline_counts_all_requests_of_a_call() -> None:
    assert Deadline.after(None).remaining() is None
    remaining = Deadline.after(60.0).remaining()
    assert remaining is not None
    assert 50 < remaining <= 60
    assert not Deadline.after(60.0).allows(61.0)
    assert Deadline.after(None).allows(1e9)
    assert "timeout of 5 seconds" in str(Deadline.after(5.0).error())
