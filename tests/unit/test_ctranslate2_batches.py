"""Tests of the batches that are passed to CTranslate2."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latimer_server.backends.huggingface.config import HubConfig
from latimer_server.backends.huggingface.ctranslate2 import CTranslate2Generator
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.decoding import DecodingOptions, Hypothesis

CONFIG = HubConfig(
    model_type="marian",
    vocabulary_size=100,
    target_vocabulary_size=100,
    separate_vocabularies=False,
    max_positions=512,
    tokenizer_class="",
    defaults=DecodingOptions(beam_size=4),
    min_output_tokens=0,
    start_id=None,
    pad_id=99,
    end_ids=frozenset([0]),
    first_ids=(),
    banned=(),
    prompt="",
)


class Words:
    """A tokenization whose tokens are numbers as text."""

    added_tokens = 1

    def tokens(self, ids: tuple[int, ...]) -> list[str]:
        return [str(i) for i in ids]

    def ids(self, tokens: list[str]) -> tuple[int, ...]:
        return tuple(map(int, tokens))

    def decoder_prefix(self, target: str) -> tuple[int, ...]:
        return ()


class Engine:
    """A translator that echoes every row in three steps of `step_seconds`, and records its arguments."""

    compute_type = "int8"

    def __init__(self, device: str = "cpu", step_seconds: float = 0.0) -> None:
        self.device = device
        self.calls: list[tuple[int, dict[str, Any]]] = []
        self.now = 0.0
        self._step_seconds = step_seconds

    def translate_batch(self, rows: list[list[str]], **keys: Any) -> list[Any]:
        self.calls.append((len(rows), keys))
        self.now += 3 * self._step_seconds
        return [SimpleNamespace(hypotheses=[[*row, "0"]], scores=[-1.0]) for row in rows]


def make(engine: Engine, task: str = "translation", threads: int = 2) -> CTranslate2Generator:
    request = LoadRequest("m", "ctranslate2", task, Path(), threads=threads)
    return CTranslate2Generator(engine, Words(), CONFIG, request, 0, lambda: engine.now)  # type: ignore[arg-type]


def translate(generator: CTranslate2Generator, rows: int, **options: Any) -> list[Hypothesis]:
    batch = [(number, 7) for number in range(1, rows + 1)]
    hypotheses = generator.run(batch, DecodingOptions(**options), lambda: False)
    assert [one.ids for one in hypotheses] == batch
    return hypotheses


@pytest.mark.parametrize(("device", "batches"), [("cpu", 3), ("cuda", 1)])
def test_each_worker_computes_a_batch(device: str, batches: int) -> None:
    engine = Engine(device)
    generator = make(engine, threads=3)
    assert generator.limits.concurrent_batches == batches
    translate(generator, 4)  # the duration of rows is unknown before this
    translate(generator, 32)
    assert [rows for rows, _ in engine.calls] == [4, 32]
    assert not any("max_batch_size" in keys for _, keys in engine.calls)


def test_a_batch_of_a_summarizer_is_divided_among_the_workers() -> None:
    engine = Engine()
    generator = make(engine, task="summarization")
    assert generator.limits.concurrent_batches == 1
    translate(generator, 4)
    translate(generator, 32)
    assert [keys["max_batch_size"] for _, keys in engine.calls] == [1, 8]


def test_the_beam_of_a_translator_reduces_the_rows_of_a_batch() -> None:
    limits = make(Engine()).limits
    assert limits.count_rows(DecodingOptions()) * 4 == limits.count_rows(DecodingOptions(beam_size=1))
    assert make(Engine(), task="summarization").limits.default_beam == 0


@pytest.mark.parametrize(
    ("step_seconds", "cap", "is_watched"),
    [(0.1, 16, False), (0.1, 200, True), (0.5, 2, False), (0.5, 16, True)],
)
def test_a_greedy_search_has_a_callback_only_if_it_may_take_long(
    step_seconds: float, cap: int, is_watched: bool
) -> None:
    engine = Engine(step_seconds=step_seconds)
    generator = make(engine)
    for _ in range(2):
        translate(generator, 4, beam_size=1, max_output_tokens=cap, max_length_ratio=100.0)
    (_, first), (_, second) = engine.calls
    assert "callback" in first  # the duration is not known yet
    assert ("callback" in second) is is_watched


def test_rows_with_another_cap_are_not_started_after_cancellation() -> None:
    engine = Engine(step_seconds=0.1)
    generator = make(engine)
    translate(generator, 4, beam_size=1)
    batch = [(1,) * length for length in (4, 8, 12, 16)]
    before = len(engine.calls)
    options = DecodingOptions(beam_size=1, max_length_ratio=1.0)
    hypotheses = generator.run(batch, options, lambda: len(engine.calls) > before)
    assert len(engine.calls) == before + 1
    assert [one.truncated for one in hypotheses[1:]] == [True] * 3


def test_batches_of_a_gpu_are_not_divided_by_the_beam() -> None:
    limits = make(Engine("cuda")).limits
    assert limits.count_rows(DecodingOptions()) == limits.max_batch_rows


def test_a_beam_search_has_no_callback() -> None:
    engine = Engine()
    translate(make(engine), 4, beam_size=4)
    assert "callback" not in engine.calls[0][1]


def test_a_greedy_batch_of_any_duration_is_not_divided() -> None:
    # A part of eight rows takes 1.4 times as long for each row, and the callback can stop a whole batch.
    engine = Engine(step_seconds=1.0)
    generator = make(engine)
    for _ in range(3):
        translate(generator, 32, beam_size=1)
    assert [rows for rows, _ in engine.calls] == [32] * 3
    assert all("callback" in keys for _, keys in engine.calls)


def test_a_beam_search_is_divided_into_parts_of_two_seconds() -> None:
    engine = Engine(step_seconds=0.5)
    generator = make(engine)
    translate(generator, 4)
    translate(generator, 8)
    assert [rows for rows, _ in engine.calls] == [4, 5, 3]
