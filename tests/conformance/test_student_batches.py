"""Tests of batches of a student: a translation does not depend on its batch, and padding is bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer_server.backends.marian import onnx_engine
from latimer_server.backends.marian.engine import choose_candidates, group_rows
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.backends.marian.weights import QuantizationLevels
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from tests.conformance.conftest import get_engine_searcher, never, read_sentences

OPTIONS = DecodingOptions()
# If two tokens are nearly equally likely, rounding may choose either.
TIE = 0.02
_COMPOSITIONS = 60


class Alone:
    """The outputs of some real sentences, each computed alone."""

    def __init__(self, student: MarianStudent, language: str) -> None:
        self.rows: Sequence[TokenIds] = [encoding.ids for encoding in student.encode(read_sentences(language)[::3])]
        self.outputs: Sequence[Hypothesis] = [student.run([row], OPTIONS, never)[0] for row in self.rows]


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("engine", ["chosen", "onnx"])
def test_tokens_do_not_depend_on_batch_mates(
    students: Mapping[str, MarianStudent], graph_students: Mapping[str, MarianStudent], engine: str, language: str
) -> None:
    student = (students if engine == "chosen" else graph_students)[language]
    expected = Alone(student, language)
    seen = changed = 0

    @settings(max_examples=_COMPOSITIONS, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.integers(0, len(expected.rows) - 1), min_size=6, max_size=32))
    def compare(places: list[int]) -> None:
        nonlocal seen, changed
        together = student.run([expected.rows[place] for place in places], OPTIONS, never)
        for place, hypothesis in zip(places, together, strict=True):
            own = expected.outputs[place]
            seen += 1
            if hypothesis.ids != own.ids:
                changed += 1
                assert hypothesis.log_prob == pytest.approx(own.log_prob, abs=TIE)
            assert hypothesis.truncated == own.truncated

    compare()
    print(f"{language}: {changed} of {seen} otherwise than alone")
    assert seen > 300
    assert changed <= 0.001 * seen


@given(st.lists(st.integers(1, 128), min_size=1, max_size=40))
def test_sources_are_grouped_by_similar_length(lengths: list[int]) -> None:
    groups = group_rows(lengths)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[row] for row in group)
        assert len(group) == 1 or padded <= 64 or padded <= 1.1 * sum(lengths[row] for row in group) + 1e-9
        assert len(group) == 1 or padded <= 512
    assert all(lengths[one[-1]] <= lengths[other[0]] for one, other in pairwise(groups))


def test_each_row_uses_only_its_own_candidates(graph_students: Mapping[str, MarianStudent]) -> None:
    student = graph_students["en"]
    searcher = get_engine_searcher(student)
    shortlist = searcher.shortlist
    assert shortlist
    rows = [encoding.ids for encoding in student.encode(["The house.", "A long road to the old town by the sea."])]
    candidates = choose_candidates(searcher.engine, shortlist, rows)
    for row, ids, bias in zip(rows, candidates.ids, candidates.bias, strict=True):
        own = [i for i in shortlist.candidates(row).tolist() if i != 1]
        assert ids[np.isfinite(bias)].tolist() == own
    assert candidates.columns is not None
    assert (candidates.union[candidates.columns] == candidates.ids)[np.isfinite(candidates.bias)].all()


def test_no_session_keeps_memory_for_the_sizes_of_batches(graph_students: Mapping[str, MarianStudent]) -> None:
    engine = get_engine_searcher(graph_students["en"]).engine
    assert isinstance(engine, onnx_engine.OnnxEngine)
    sessions: tuple[Any, ...] = (engine._encoder, engine._search, engine._step, engine._weights)
    for session in sessions:
        options = session.get_session_options()
        assert not options.enable_mem_pattern
        assert not options.enable_cpu_mem_arena


def test_weights_have_seven_bits_if_sums_of_products_saturate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Saturating:
        """A processor whose sums of two products saturate at 32,767, as VPMADDUBSW does."""

        def run(self, _outputs: object, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
            pairs = feeds["x"].astype(np.int64).reshape(1, -1, 2).sum(2) * 127
            return [np.minimum(pairs, 32_767).sum(1, keepdims=True)]

    # On any processor eight bits are used only if sums of four products are exact.
    assert onnx_engine.choose_quantization_levels() in (QuantizationLevels(127), QuantizationLevels(63))
    monkeypatch.setattr(onnx_engine, "_start", lambda _model: Saturating())
    assert onnx_engine.choose_quantization_levels() == QuantizationLevels(63)


def test_quantization_levels_match_the_multipliers_of_the_file() -> None:
    assert (QuantizationLevels().zero, QuantizationLevels(63).zero) == (128, 64)
    assert QuantizationLevels().scale(10) == pytest.approx(1 / 10)
    assert QuantizationLevels(63).scale(10) == pytest.approx(127 / 63 / 10)
