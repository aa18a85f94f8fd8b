"""What a loaded model is to those who use it, and what can be said of one that is not.

Knows no way to load one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latimer_server.backends.protocol import GeneratorBackend, RankerBackend
from latimer_server.models.catalog.catalog import CatalogEntry
from latimer_server.models.pool.vocabulary_coverage import VocabularyCoverage
from latimer_server.models.segment_cache import ModelCache
from latimer_server.scheduling import BatchQueue


class ModelState(Enum):
    """How far a model is from answering; see the contract's ModelState."""

    NOT_FETCHED = "not fetched"
    AVAILABLE = "available"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"


@dataclass(frozen=True)
class LoadedGenerator:
    """A loaded model that writes text, translations or summaries, the queue before it and the characters it knows;
    `cache`: what it wrote before, where that is kept."""

    entry: CatalogEntry
    backend: GeneratorBackend
    queue: BatchQueue
    coverage: VocabularyCoverage
    cache: ModelCache | None = None


@dataclass(frozen=True)
class LoadedRanker:
    """A loaded extractive summarizer."""

    entry: CatalogEntry
    backend: RankerBackend


Loaded = LoadedGenerator | LoadedRanker


@dataclass(frozen=True)
class ModelStatus:
    """What can be said of a model now."""

    entry: CatalogEntry
    state: ModelState
    error: str = ""
    compute_type: str = ""
    max_input_tokens: int = 0
    memory_bytes: int = 0
    weights_sha256: str = ""
    backend: str = ""
