"""Pool options: the settings of a model pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.core.telemetry import Telemetry
from latimer_server.models.segment_cache import SegmentCache


@dataclass(frozen=True)
class PoolOptions:
    """The settings of a pool.

    `device`: "cpu", "cuda" or "auto". `max_memory`: a bound on the bytes of all loaded models together, None for
    unbounded. `pinned`: names of models that are never evicted to make room for others. `cache`: the cache of finished
    hypotheses for all models, None for no cache. `telemetry`: receives a report of each batch.
    """

    device: str = "cpu"
    max_memory: int | None = None
    pinned: Sequence[str] = ()
    cache: SegmentCache | None = None
    telemetry: Telemetry | None = None
