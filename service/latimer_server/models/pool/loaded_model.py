"""Loaded models: the types that the pool gives to its callers, and the status of any model of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from latimer_server.backends.protocol import GeneratorBackend, RankerBackend
from latimer_server.models.catalog.catalog import CatalogEntry
from latimer_server.models.pool.vocabulary_coverage import VocabularyCoverage
from latimer_server.models.segment_cache import ModelCache
from latimer_server.scheduling import BatchQueue


class ModelState(Enum):
    """The state of a model, as the contract's ModelState defines it."""

    NOT_FETCHED = "not fetched"
    AVAILABLE = "available"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"


@dataclass(frozen=True)
class LoadedGenerator:
    """A loaded model that writes translations or summaries.

    `entry`: its catalogue entry, with the languages that its files serve. `queue`: takes its pieces and forms batches.
    `coverage`: finds out which characters its tokenizer knows. `cache`: its finished hypotheses; None if the server has
    no cache.
    """

    entry: CatalogEntry
    backend: GeneratorBackend
    queue: BatchQueue
    coverage: VocabularyCoverage
    cache: ModelCache | None = None


@dataclass(frozen=True)
class LoadedRanker:
    """A loaded extractive summarizer, which ranks sentences and writes no text."""

    entry: CatalogEntry
    backend: RankerBackend


Loaded = LoadedGenerator | LoadedRanker


@dataclass(frozen=True)
class ModelStatus:
    """The current status of a model.

    `error`: why it is FAILED, else "". `weights_sha256`: the digest of its weights, "" if unknown. `backend`,
    `compute_type`, `max_input_tokens`, `memory_bytes` and `waiting`, the pieces in its queue, are known only while the
    model is loaded; else they are "" or 0. `max_input_tokens` and `waiting` are 0 for a ranker too.
    """

    entry: CatalogEntry
    state: ModelState
    error: str = ""
    compute_type: str = ""
    max_input_tokens: int = 0
    memory_bytes: int = 0
    weights_sha256: str = ""
    backend: str = ""
    waiting: int = 0
