"""StreamTranslateText and `translate_many` over a real channel: nothing lost, nothing twice, nothing without bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from latimer import AsyncClient, Client, InvalidArgumentError, LatimerError, NotServedError, TranslatedItem
from latimer._ledger import READ_AHEAD_ITEMS
from latimer_server.server import LatimerServer
from tests.fakes import BlockingBackend, EchoBackend, PoisonBackend, UpperBackend, serve_fakes

EN_PT: dict[str, Any] = {"source": "en", "target": "pt"}


def make_texts(count: int) -> list[str]:
    return [f"The sentence number {number} is about the river{' and its old bridge' * (number % 7)}." for number in range(count)]


async def test_a_thousand_items_come_back_exactly_and_in_order(client: AsyncClient) -> None:
    texts = make_texts(3_000)
    found = [result async for result in client.translate_many(texts, **EN_PT)]
    assert [result.text for result in found] == texts
    assert [result.index for result in found] == list(range(3_000))


async def test_the_synchronous_client_streams_too(server: LatimerServer) -> None:
    texts = make_texts(3_000)

    def use() -> list[TranslatedItem]:
        with Client(f"127.0.0.1:{server.port}") as client:
            return list(client.translate_many(iter(texts), **EN_PT))

    found = await asyncio.to_thread(use)
    assert [result.text for result in found] == texts
