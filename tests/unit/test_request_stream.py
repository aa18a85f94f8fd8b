"""Reading the messages of a stream while the server drains."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from google.protobuf import wrappers_pb2

from latimer_server.core.errors import Unavailable
from latimer_server.rpc.request_stream import read_messages

MESSAGE = wrappers_pb2.StringValue(value="An item.").SerializeToString()
ENDLESS = 600.0


async def test_a_stream_that_never_stops_sending_is_ended_by_a_drain() -> None:
    draining = asyncio.Event()
    messages = read_messages(itertools.repeat(MESSAGE), wrappers_pb2.StringValue.FromString, draining, ENDLESS, ENDLESS)
    assert (await anext(messages)) == wrappers_pb2.StringValue(value="An item.")
    draining.set()
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable, match="shutting down"):
            async for _ in messages:
                pass


async def test_messages_that_have_arrived_when_a_drain_begins_are_read() -> None:
    draining = asyncio.Event()
    draining.set()
    messages = read_messages(iter([MESSAGE] * 3), wrappers_pb2.StringValue.FromString, draining, ENDLESS, ENDLESS)
    assert len([message async for message in messages]) == 3
