"""Helpers for tests that watch a server while it works: separate connections, and the queue of a model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from latimer.v1 import translation_pb2_grpc
from latimer_server.rpc.server import LatimerServer
from latimer_server.scheduling import BatchQueue


@asynccontextmanager
async def connect_alone(server: LatimerServer) -> AsyncIterator[translation_pb2_grpc.TranslationServiceAsyncStub]:
    """Opens a stub on a connection that no other channel of this process shares."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=options) as channel:
        yield translation_pb2_grpc.TranslationServiceStub(channel)


async def find_queue(server: LatimerServer, name: str = "en-pt") -> BatchQueue:
    """Returns the queue of a model, which is loaded if need be."""
    async with server.pool.hold_generator(name) as model:
        return model.queue
