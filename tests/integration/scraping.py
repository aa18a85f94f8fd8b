"""Reads the port of metrics of a server that runs in the test."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from latimer_server.backends.protocol import Backend
from latimer_server.rpc.server import LatimerServer
from tests.fakes import serve_fakes

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@asynccontextmanager
async def serve_metrics(backends: Mapping[str, Backend] | None = None, **settings: Any) -> AsyncIterator[LatimerServer]:
    """Runs a server of fake models with its metrics on a free port."""
    async with serve_fakes(backends, metrics="127.0.0.1:0", **settings) as server:
        server.monitoring.serve()
        yield server


async def get(server: LatimerServer, path: str) -> tuple[int, str]:
    """Returns the status and the body of the answer to a GET."""

    def ask() -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.monitoring.port, timeout=30)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    return await asyncio.to_thread(ask)


async def probe(server: LatimerServer, path: str) -> tuple[int, list[str]]:
    """Returns the status of a probe and its reasons."""
    status, body = await get(server, path)
    return status, json.loads(body)["reasons"]


async def scrape(server: LatimerServer) -> Samples:
    """Returns all samples of the server, by name and labels."""
    status, body = await get(server, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(body)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def find(samples: Samples, name: str, **labels: str) -> float:
    """Returns the sum of the samples with this name whose labels include `labels`."""
    wanted = set(labels.items())
    found = [value for (sample, own), value in samples.items() if sample == name and wanted <= own]
    assert found, f"no sample {name} {labels}"
    return sum(found)
