"""Random and mutated requests of every method: each ends with a status of the contract, and no text reaches the log."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from latimer import AsyncClient
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2
from latimer_server.rpc.server import LatimerServer

CANARY = "canary-7d1f"
METHODS = [
    (f"/{service.full_name}/{method.name}", GetMessageClass(method.input_type))
    for file in (translation_pb2.DESCRIPTOR, summarization_pb2.DESCRIPTOR, models_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
]
DEFECTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
TEXTS = ["", "en", "pt", "xx-Latn", CANARY, f"A text with {CANARY}.", "\u0000", "👍" * 300, "<b>" * 50, "{{x", "(" * 40]
NUMBERS = [0, 1, 2, 8, 255, 2**31 - 1]


def fill(message: Message, draw: random.Random, depth: int = 0) -> None:
    """Sets random fields of a message to random values."""
    for field in message.DESCRIPTOR.fields:
        if draw.random() < 0.4:
            continue
        if field.message_type:
            if depth < 4:
                target = getattr(message, field.name)
                fill(target.add() if field.is_repeated else target, draw, depth + 1)
            continue
        values = [draw_value(field, draw) for _ in range(draw.choice([1, 1, 3, 40]))]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, values[0])


def draw_value(field: Any, draw: random.Random) -> object:
    """Returns a random value of the type of a field."""
    if field.enum_type:
        return draw.choice([0, 1, 2, 3, 99])
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return draw.random() < 0.5
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return draw.choice([0.0, 0.5, -1.0, float("nan"), float("inf")])
    return draw.choice(NUMBERS)


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    lambda data, _: data,
    lambda data, draw: data[: draw.randrange(len(data) + 1)],
    lambda data, draw: bytes(draw.randrange(256) if draw.random() < 0.02 else byte for byte in data),
    lambda data, draw: data + draw.randbytes(draw.randrange(40)),
    lambda data, draw: data + b"\x9b\x06" * 5_000 + b"\x9c\x06" * 5_000,  # groups in groups
    lambda data, draw: data + b"\x0a\xff\xff\xff\xff\x0f",  # a length beyond the end
    lambda data, draw: data * 50,
]


@pytest.mark.parametrize(("path", "request_type"), METHODS, ids=[path.rsplit("/", 1)[1] for path, _ in METHODS])
async def test_every_request_ends_with_a_status_of_the_contract(
    server: LatimerServer,
    client: AsyncClient,
    channel: grpc.aio.Channel,
    caplog: pytest.LogCaptureFixture,
    path: str,
    request_type: type[Message],
) -> None:
    draw = random.Random(path)
    method: grpc.aio.StreamStreamMultiCallable[Any, Any] = channel.stream_stream(path)
    with caplog.at_level(logging.DEBUG):
        for _ in range(60):
            request = request_type()
            fill(request, draw)
            data = draw.choice(MUTATIONS)(request.SerializeToString(), draw)
            call = method(iter([data]), timeout=60)
            with suppress(grpc.aio.AioRpcError):
                async for _ in call:
                    pass
            assert await call.code() not in DEFECTS, await call.details()
    assert CANARY not in caplog.text
    assert (await client.translate("A text.", source="en", target="pt")).text == "A text."
