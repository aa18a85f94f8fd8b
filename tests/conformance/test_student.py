"""Tests of the embedded students against an independent engine, and against themselves in other batches."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest
import sacrebleu

from benchmarks.students import load_oracle, run_in_batches
from latimer_server.backends.marian.native_engine import NativeStudent
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions
from tests.conformance.conftest import PAIRS, locate, never, read_sentences

GREEDY = DecodingOptions()


@pytest.mark.parametrize("source", ["en", "pt"])
def test_outputs_agree_with_an_independent_engine(students: Mapping[str, MarianStudent], source: str) -> None:
    sentences = read_sentences(source)
    assert len(sentences) >= 300
    student, files = students[source], locate(PAIRS[source])
    oracle = load_oracle(files)
    expected = [oracle.translate(sentence) for sentence in sentences]
    hypotheses = run_in_batches(student, [encoding.ids for encoding in student.encode(sentences)], 32)
    outputs = student.decode([hypothesis.ids for hypothesis in hypotheses])
    chrf = sacrebleu.corpus_chrf(outputs, [expected]).score
    print(f"{source}: chrF {chrf:.2f}, {sum(a == b for a, b in zip(outputs, expected, strict=True))} identical")
    assert chrf >= 96
    assert [not output for output in outputs] == [not output for output in expected]
    assert not any(hypothesis.truncated for hypothesis in hypotheses)


@pytest.mark.parametrize("source", ["en", "pt"])
def test_a_translation_does_not_depend_on_its_batch(students: Mapping[str, MarianStudent], source: str) -> None:
    student, draw = students[source], random.Random(5)
    rows = [encoding.ids for encoding in student.encode(read_sentences(source)[::4])]
    alone = run_in_batches(student, rows, 1)
    order = list(range(len(rows)))
    for size in (3, 17, 32):
        draw.shuffle(order)
        together = run_in_batches(student, [rows[index] for index in order], size)
        for index, hypothesis in zip(order, together, strict=True):
            assert hypothesis.ids == alone[index].ids
            assert hypothesis.log_prob == pytest.approx(alone[index].log_prob, abs=1e-2)


def test_scores_are_log_probabilities_of_all_tokens_and_the_end(students: Mapping[str, MarianStudent]) -> None:
    student = students["en"]
    for hypothesis in run_in_batches(
        student, [e.ids for e in student.encode(["The house is red.", "Hello there, my friend!"])], 2
    ):
        assert hypothesis.token_count == len(hypothesis.ids) + 1
        assert 0.3 < math.exp(hypothesis.log_prob / hypothesis.token_count) <= 1


def test_the_output_cap_is_kept_and_reported(students: Mapping[str, MarianStudent]) -> None:
    student = students["en"]
    (row,) = student.encode(["The old red house near the river was sold yesterday."])
    (cut,) = student.run([row.ids], DecodingOptions(max_output_tokens=3), never)
    (whole,) = student.run([row.ids], GREEDY, never)
    assert cut.truncated
    assert cut.ids == whole.ids[:3]
    assert not whole.truncated


def test_a_cancelled_batch_stops(students: Mapping[str, MarianStudent]) -> None:
    student = students["en"]
    (row,) = student.encode([f"The old house was sold, {'and the red one, ' * 16}but the garden is still ours."])
    (whole,) = student.run([row.ids], GREEDY, never)
    checks = 0

    def cancelled() -> bool:
        nonlocal checks
        checks += 1
        return checks >= 2

    (stopped,) = student.run([row.ids], GREEDY, cancelled)
    assert checks == 2
    assert stopped.truncated
    # The C++ calls the callback after each step, and other engines after 32 steps.
    steps = 1 if isinstance(student.searcher, NativeStudent) else 32
    assert stopped.ids == whole.ids[: 2 * steps]
    assert len(whole.ids) > 64


def test_an_empty_batch_has_no_results(students: Mapping[str, MarianStudent]) -> None:
    assert students["en"].run([], GREEDY, never) == []


def test_token_starts_are_code_point_offsets(students: Mapping[str, MarianStudent]) -> None:
    text = " A  casa é ½ 😀 boa"
    starts = students["en"].token_starts(text)
    assert starts == sorted(starts)
    assert text[starts[-1] :].strip() == "boa"
    assert len(starts) == len(students["en"].encode([text])[0].ids) - 1


def test_unknown_characters_are_counted(students: Mapping[str, MarianStudent]) -> None:
    plain, emoji = students["en"].encode(["A house.", "A house 😀 and 🏠."])
    assert plain.unknown_tokens == 0
    assert emoji.unknown_tokens == 2


def test_a_truncated_row_is_reported_in_any_batch(students: Mapping[str, MarianStudent]) -> None:
    student, options = students["en"], DecodingOptions(max_length_ratio=0.7)
    rows = [encoding.ids for encoding in student.encode(read_sentences("en")[:60])]
    alone = [student.run([row], options, never)[0] for row in rows]
    assert sum(hypothesis.truncated for hypothesis in alone) > 30
    for start in range(0, len(rows), 20):
        for mine, together in zip(alone[start:], student.run(rows[start : start + 20], options, never), strict=False):
            assert (together.ids, together.truncated) == (mine.ids, mine.truncated)
            assert together.token_count == mine.token_count == len(mine.ids) + (not mine.truncated)
