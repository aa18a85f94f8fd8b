"""Tests of the C++ engine of students: it agrees with the ONNX graphs, for any instruction set, any batch and any
number of threads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer_server.backends.marian.greedy import GreedySearch
from latimer_server.backends.marian.native_library import (
    InstructionSet,
)
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from tests.conformance.conftest import (
    PAIRS,
    build_native,
    get_engine_searcher,
    get_native,
    needs_native,
    never,
    read_sentences,
)
from tests.native_builds import AVAILABLE

OPTIONS = DecodingOptions()
# Batch sizes around the limits of the kernels: the least number of rows that is computed together, sixteen rows, and
# twice sixteen rows.
SIZES = (1, 2, 3, 4, 7, 16, 17, 31, 32, 33, 70)


@needs_native
@pytest.mark.parametrize("listed", [True, False])
def test_outputs_are_bit_identical_for_every_instruction_set(rows: Sequence[TokenIds], *, listed: bool) -> None:
    options = DecodingOptions(alignment=True, max_output_tokens=None if listed else 6)
    few = rows if listed else rows[:40]
    best = build_native("en", AVAILABLE[-1], listed=listed)
    alone = [best.search([row], options, never)[0] for row in few]
    for instructions in AVAILABLE:
        student = build_native("en", instructions, listed=listed)
        fastest = instructions is AVAILABLE[-1]
        for size in SIZES if listed and fastest else (1, 5, 33):
            together: list[Hypothesis] = []
            for at in range(0, len(few), size):
                together += student.search(few[at : at + size], options, never)
            assert together == alone


@needs_native
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_row_is_bit_identical_in_any_batch(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds], data: st.DataObject
) -> None:
    native = get_native(students["en"])
    batch = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=40))
    # Rows of any ids are valid; they need not be sentences.
    batch += data.draw(st.lists(st.lists(st.integers(2, 31_999), max_size=20).map(lambda ids: (*ids, 0)), max_size=3))
    together = native.search(batch, OPTIONS, never)
    for row, hypothesis in zip(batch, together, strict=True):
        assert native.search([row], OPTIONS, never) == [hypothesis]


@needs_native
@pytest.mark.parametrize("source", sorted(PAIRS))
def test_outputs_are_as_close_to_float32_as_those_of_the_graphs(
    students: Mapping[str, MarianStudent],
    exact_students: Mapping[str, MarianStudent],
    graph_students: Mapping[str, MarianStudent],
    source: str,
) -> None:
    texts = read_sentences(source)
    written = []
    for loaded in (exact_students[source], students[source], graph_students[source]):
        batch = [encoding.ids for encoding in loaded.encode(texts)]
        outputs = [h for at in range(0, len(batch), 32) for h in loaded.run(batch[at : at + 32], OPTIONS, never)]
        written.append(loaded.decode([hypothesis.ids for hypothesis in outputs]))
    exact, native, graphs = written
    scores = [sacrebleu.corpus_chrf(each, [exact]).score for each in (native, graphs)]
    print(f"{source}: chrF against float32 {scores[0]:.2f}, of the graphs {scores[1]:.2f}")
    assert scores[0] >= 98
    assert scores[0] >= scores[1] - 0.5


@needs_native
@pytest.mark.skipif(
    AVAILABLE[-1:] == [InstructionSet.AVX2],
    reason="without dot products of bytes ONNX Runtime quantises to seven bits: a third of its outputs differ",
)
def test_scores_ends_and_alignments_agree_with_the_graphs(
    students: Mapping[str, MarianStudent], graph_students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    graphs = get_engine_searcher(graph_students["en"])
    options = DecodingOptions(alignment=True)
    student, same, links, agreeing = students["en"], 0, 0, 0
    for at in range(0, len(rows), 32):
        batch = rows[at : at + 32]
        plain = GreedySearch(graphs.engine, graphs.shortlist, batch, options).run(never)
        for mine, other in zip(student.run(batch, options, never), plain, strict=True):
            if mine.ids == other.ids:
                same += 1
                assert mine.log_prob == pytest.approx(other.log_prob, abs=0.03 * mine.token_count)
                assert mine.truncated == other.truncated
                links += len(mine.alignment)
                agreeing += sum(a[0] == b[0] for a, b in zip(mine.alignment, other.alignment, strict=True))
    print(f"{same} of {len(rows)} alike, {agreeing} of {links} links")
    assert same >= 0.8 * len(rows)
    assert agreeing >= 0.98 * links


@needs_native
def test_an_output_ends_at_its_cap_and_is_reported_as_truncated(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    native = get_native(students["en"])
    whole = native.search(rows[:40], OPTIONS, never)
    assert not any(hypothesis.truncated for hypothesis in whole)
    for cap in (1, 3, 31, 32, 33):
        for full, cut in zip(
            whole, native.search(rows[:40], replace(OPTIONS, max_output_tokens=cap), never), strict=True
        ):
            assert cut.ids == full.ids[:cap]
            assert cut.truncated == (len(full.ids) > cap)
            assert (cut.log_prob == full.log_prob) == (not cut.truncated)
    exactly = replace(OPTIONS, max_output_tokens=len(whole[0].ids))
    assert native.search(rows[:1], exactly, never) == whole[:1]


@needs_native
def test_an_output_may_be_longer_than_the_stored_positions(rows: Sequence[TokenIds]) -> None:
    # The output of a source without an end token continues up to its cap.
    endless = [(*([17_347] * 120), 0)]
    native = build_native("en", AVAILABLE[-1])
    found = native.search(endless, DecodingOptions(max_length_ratio=10), never)[0]
    again = native.search([*endless, rows[0]], DecodingOptions(max_length_ratio=10), never)[0]
    assert found == again
    assert len(found.ids) > 512
    assert found.truncated == (len(found.ids) == 1_210)


@needs_native
def test_threads_share_a_student(students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]) -> None:
    native = get_native(students["en"])
    batches = [rows[at : at + 9] for at in range(0, 180, 9)]
    expected = [native.search(batch, OPTIONS, never) for batch in batches]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            assert list(threads.map(lambda batch: native.search(batch, OPTIONS, never), batches)) == expected


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@needs_native
def test_loading_and_searching_leak_no_memory(rows: Sequence[TokenIds]) -> None:
    def once() -> None:
        student = build_native("en", AVAILABLE[-1])
        for at in range(0, 128, 32):
            student.search(rows[at : at + 32], OPTIONS, never)

    for _ in range(3):
        once()
    before = resident_bytes()
    for _ in range(12):
        once()
    # A leaked student would take 20 MB, a leaked batch 5 MB.
    assert resident_bytes() - before < 15e6
