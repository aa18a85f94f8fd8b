"""Provides a server of fake models on a free port, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from latimer import AsyncClient
from latimer_server.rpc.server import LatimerServer
from tests.fakes import serve_fakes
from tests.scripted_server import Translate, translate_with_async_client, translate_with_client
from tests.streams import BOTH, Stream


@pytest.fixture
async def server() -> AsyncIterator[LatimerServer]:
    async with serve_fakes() as running:
        yield running


@pytest.fixture
async def client(server: LatimerServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"127.0.0.1:{server.port}") as connected:
        yield connected


@pytest.fixture
async def channel(server: LatimerServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as connected:
        yield connected


@pytest.fixture(params=BOTH, ids=["asynchronous", "synchronous"])
def stream(request: pytest.FixtureRequest) -> Stream:
    """The `translate_many` of either client."""
    chosen: Stream = request.param
    return chosen


@pytest.fixture(params=[translate_with_client, translate_with_async_client], ids=["synchronous", "asynchronous"])
def translate(request: pytest.FixtureRequest) -> Translate:
    """The `translate` of either client: takes an address, texts, settings of the client and options."""
    chosen: Translate = request.param
    return chosen
