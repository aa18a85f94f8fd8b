"""Measures the start time and the memory of a server with two models, and of the peers with one model each.

This scenario runs first, because memory pages that other processes share would count only in part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.peers.engines import Engine
from benchmarks.peers.figures import Bound, Outcome, Rounds
from benchmarks.peers.pool import PeerCommand, start_pool
from benchmarks.peers.service import run_service
from benchmarks.peers.usage import read_proportional_bytes, read_resident_bytes

_MOST_SECONDS = 4.0
_MOST_MEGABYTES = 450.0
_MEGABYTE = 1_000_000
_ENGLISH, _PORTUGUESE = "The bridge is closed until Monday.", "A ponte está fechada até segunda-feira."


async def measure_footprint(starts: int, peers: Sequence[PeerCommand], log: Callable[[str], None]) -> Outcome:
    """Measures `starts` servers, one after another, then each peer once."""
    rounds, loaded = Rounds(), set[str]()
    for _ in range(starts):
        async with run_service() as service:
            await service.client.translate(_ENGLISH, source="en", target="pt")
            await service.client.translate(_PORTUGUESE, source="pt", target="en")
            loaded = {model.name for model in await service.client.models() if model.state == "READY"}
            cells = _read_cells(service, service.start_seconds)
        rounds.add("both directions", service.name, cells)
        log(f"SERVING after {service.start_seconds:.2f} s, {cells['PSS MB']:,.0f} MB")
    for command in peers:
        started = time.perf_counter()
        pool = await start_pool(command)
        seconds = time.perf_counter() - started
        await pool.translate(_ENGLISH)
        rounds.add("one direction", pool.name, _read_cells(pool, seconds))
        await pool.close()
    fresh = rounds.to_rows()[0].cells
    return Outcome(
        "footprint",
        "Start and memory",
        rounds.to_rows(),
        (
            Bound("start to SERVING, seconds", fresh["start s"], _MOST_SECONDS, most=True),
            Bound("resident memory of all processes, MB", fresh["PSS MB"], _MOST_MEGABYTES, most=True),
        ),
        (
            f"Loaded models: {', '.join(sorted(loaded))}. Each direction was used once.",
            "PSS is the resident memory of all processes, with shared pages counted once, or in part if this program "
            "shares them too (gRPC's library). RSS counts shared pages in every process.",
        ),
    )


def _read_cells(engine: Engine, seconds: float) -> dict[str, float]:
    return {
        "start s": seconds,
        "PSS MB": read_proportional_bytes(engine.process_ids) / _MEGABYTE,
        "RSS MB": read_resident_bytes(engine.process_ids) / _MEGABYTE,
        "processes": len(engine.process_ids),
    }
