"""How long a server takes to start, and what it then holds in memory; beside it the peers, with half as many models.

Runs before anything else does: pages that another process shares would count in part only.
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


async def measure_footprint(starts: int, peers: Sequence[PeerCommand], tell: Callable[[str], None]) -> Outcome:
    """Servers of their own, one after another."""
    rounds, loaded = Rounds(), set[str]()
    for _ in range(starts):
        async with run_service() as service:
            await service.client.translate(_ENGLISH, source="en", target="pt")
            await service.client.translate(_PORTUGUESE, source="pt", target="en")
            loaded = {model.name for model in await service.client.models() if model.state == "READY"}
            cells = _read_cells(service, service.start_seconds)
        rounds.add("both directions", service.name, cells)
        tell(f"SERVING after {service.start_seconds:.2f} s, {cells['PSS MB']:,.0f} MB")
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
            f"Models that were loaded: {', '.join(sorted(loaded))}; each direction was used once.",
            "PSS: resident memory of all processes, shared pages counted once (in part only where this program has them"
            " too: gRPC's library). RSS counts them in every process.",
        ),
    )


def _read_cells(engine: Engine, seconds: float) -> dict[str, float]:
    return {
        "start s": seconds,
        "PSS MB": read_proportional_bytes(engine.process_ids) / _MEGABYTE,
        "RSS MB": read_resident_bytes(engine.process_ids) / _MEGABYTE,
        "processes": len(engine.process_ids),
    }
