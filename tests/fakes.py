"""Backends without models, and catalogues and servers of them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from latimer_server.backends.extractive import ExtractiveRanker
from latimer_server.backends.protocol import Backend, Encoding, LoadRequest
from latimer_server.config.settings import Settings
from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds
from latimer_server.models.catalog.catalog import Catalog, CatalogEntry, Task
from latimer_server.rpc.server import LatimerServer, build_server

END = 0
_OFFSET = 2
_ANY = LanguagePair()


class EchoBackend:
    """A model that returns its input: one token for each code point."""

    memory_bytes = 1_000
    name = "fake"
    compute_type = "identity"

    def __init__(self, max_input_tokens: int = 4_096) -> None:
        self.limits = BatchLimits(max_input_tokens, 64 * max_input_tokens, 64)
        self.batches: list[list[TokenIds]] = []

    def encode(self, texts: Sequence[str], languages: LanguagePair = _ANY) -> list[Encoding]:
        return [Encoding((*(ord(c) + _OFFSET for c in text), END), text.count("\ufffd")) for text in texts]

    def word_score(self, word: str) -> float | None:
        return None

    def token_starts(self, text: str) -> list[int]:
        return list(range(len(text)))

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [(at + character.isspace(), at + 1) for at, character in enumerate(text)]

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        return ["".join(chr(i - _OFFSET) for i in row) for row in ids]

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        spans, text = [], ""
        for token in self.decode([(i,) for i in ids]):
            spans.append((len(text), len(text) + len(token)))
            text += token
        return text, [(end if text[start:end].isspace() else start, end) for start, end in spans]

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.batches.append(list(batch))
        most = options.max_output_tokens
        return [
            Hypothesis(
                ids := row[:-1][:most],
                -0.5 * len(row),
                most is not None and len(row) > most,
                alignment=tuple((at, 1.0) for at in range(len(ids))) if options.alignment else (),
            )
            for row in batch
        ]


class UpperBackend(EchoBackend):
    """A model that writes capitals, so that a test can tell which text passed through it."""

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        return [text.upper() for text in super().decode(ids)]


class BlockingBackend(EchoBackend):
    """A model whose batches wait until the test sets `release`. `running`: the number of batches that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.running = 0
        self.started = threading.Event()
        self.release = threading.Event()
        self.saw_cancelled = threading.Event()

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.running += 1
        self.started.set()
        while not self.release.wait(0.005):
            if cancelled():
                self.saw_cancelled.set()
                break
        self.running -= 1
        return super().run(batch, options, cancelled)


class PoisonBackend(EchoBackend):
    """A model that raises on every batch that contains the word POISON."""

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        if any("POISON" in text for text in self.decode([row[:-1] for row in batch])):
            raise RuntimeError("the backend choked on POISON")
        return super().run(batch, options, cancelled)


def make_entry(name: str, source: str, target: str, **keys: Any) -> CatalogEntry:
    """Returns the catalogue entry of a translation model without files."""
    return CatalogEntry(
        name=name,
        task=Task.TRANSLATION,
        family="fake",
        backend=name,
        source_languages=(source,),
        target_languages=(target,),
        embedded=True,
        **keys,
    )


def make_catalog(*entries: CatalogEntry) -> Catalog:
    """Returns a catalogue of the entries and an extractive ranker."""
    ranker = CatalogEntry(
        name="extractive", task=Task.SUMMARIZATION, family="extractive", backend="extractive", embedded=True
    )
    return Catalog({entry.name: entry for entry in (*entries, ranker)})


def make_backends(backends: Mapping[str, Backend]) -> Callable[[LoadRequest], Backend]:
    """Returns a loader that gives each name its backend. The ranker is the real one."""

    def make(request: LoadRequest) -> Backend:
        return ExtractiveRanker() if request.backend == "extractive" else backends[request.backend]

    return make


@asynccontextmanager
async def serve_fakes(
    backends: Mapping[str, Backend] | None = None, *, catalog: Catalog | None = None, **settings: Any
) -> AsyncIterator[LatimerServer]:
    """Runs a server of fake models on a free port, with its models loaded. `backends`: by model name, SOURCE-TARGET;
    default: echoes for en-pt and pt-en. `catalog`: default: one entry for each backend."""
    backends = backends or {"en-pt": EchoBackend(), "pt-en": EchoBackend()}
    catalog = catalog or make_catalog(*(make_entry(name, *name.split("-")) for name in backends))
    server = await build_server(
        Settings(**{"listen": "127.0.0.1:0", **settings}), catalog=catalog, backend_loader=make_backends(backends)
    )
    await server.start()
    await server.preload()
    try:
        yield server
    finally:
        await server.drain(0)


class WriterBackend(EchoBackend):
    """A model whose hypotheses of a text are those that `write` returns, the best first. It reads at most
    `max_input_tokens` characters. `cut`: reports every output as truncated."""

    def __init__(
        self, write: Callable[[str], Sequence[str]], max_input_tokens: int = 4_096, *, cut: bool = False
    ) -> None:
        super().__init__(max_input_tokens)
        self._cut = cut
        self.read: list[str] = []
        self.options: list[DecodingOptions] = []
        self._write = write

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.options.append(options)
        hypotheses = []
        for text in self.decode([row[:-1] for row in batch]):
            self.read.append(text)
            ranked = [
                Hypothesis(tuple(ord(c) + _OFFSET for c in output), -float(rank), truncated=self._cut)
                for rank, output in enumerate(self._write(text)[: options.hypothesis_count])
            ]
            best, *others = ranked
            hypotheses.append(Hypothesis(best.ids, best.log_prob, best.truncated, tuple(others)))
        return hypotheses


def make_writer(name: str = "writer", **keys: Any) -> CatalogEntry:
    """Returns the catalogue entry of a summarization model without files that writes English."""
    values = {"source_languages": ("en",), "embedded": True, "preload": False, **keys}
    return CatalogEntry(name=name, task=Task.SUMMARIZATION, family="causal", backend=name, **values)
