"""Tests of beam search in the C++ engine: against float32, against the search on ONNX Runtime, and against itself."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latimer_server.backends.marian.engine import END
from latimer_server.backends.marian.native_library import InstructionSet
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from tests.conformance.conftest import build_native, get_engine_searcher, get_native, never, read_sentences
from tests.conformance.test_student_beams import score_step_by_step
from tests.native_builds import AVAILABLE, SANITIZERS, build_searches, choose_tools

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="not built, or not for this processor")
BEAM = DecodingOptions(beam_size=4, hypothesis_count=4, alignment=True)
OPTIONS = [
    BEAM,
    DecodingOptions(beam_size=8, hypothesis_count=3, length_penalty=0.6),
    DecodingOptions(beam_size=2, repetition_penalty=1.3, no_repeat_ngram_size=2, alignment=True),
    DecodingOptions(hypothesis_count=5, max_output_tokens=4),
    DecodingOptions(beam_size=3, whole_vocabulary=True, max_output_tokens=6),
    DecodingOptions(whole_vocabulary=True, max_output_tokens=6),
]


@pytest.fixture(scope="module")
def rows(students: Mapping[str, MarianStudent]) -> Sequence[TokenIds]:
    return [encoding.ids for encoding in students["en"].encode(read_sentences("en")[::12])]


def rank(hypothesis: Hypothesis) -> list[Hypothesis]:
    return [hypothesis, *hypothesis.alternatives]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_row_is_bit_identical_alone_and_for_every_instruction_set(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds], options: DecodingOptions
) -> None:
    native = get_native(students["en"])
    alone = [native.search([row], options, never)[0] for row in rows]
    for instructions in AVAILABLE:
        assert build_native("en", instructions).search(rows[::-1], options, never)[::-1] == alone


def test_a_beam_of_one_with_a_penalty_that_never_applies_is_greedy_search(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    native, greedy = get_native(students["en"]), DecodingOptions(alignment=True)
    beam = replace(greedy, beam_size=1, no_repeat_ngram_size=64)
    assert native.search(rows, beam, never) == native.search(rows, greedy, never)


@pytest.mark.parametrize("whole", [False, True])
def test_every_hypothesis_has_the_score_of_its_tokens_in_float32(
    students: Mapping[str, MarianStudent],
    exact_students: Mapping[str, MarianStudent],
    rows: Sequence[TokenIds],
    *,
    whole: bool,
) -> None:
    exact = get_engine_searcher(exact_students["en"])
    few = [row for row in rows if len(row) < 24][:6]
    differences = []
    for row, hypothesis in zip(few, students["en"].run(few, replace(BEAM, whole_vocabulary=whole), never), strict=True):
        ranked = rank(hypothesis)
        assert len({each.ids for each in ranked}) == 4
        for each in ranked:
            output = each.ids if each.truncated else (*each.ids, END)
            score = score_step_by_step(exact.engine, None if whole else exact.shortlist, row, output)
            differences.append((each.log_prob - score) / len(output))
        ended = [each.log_prob / each.token_count for each in ranked if not each.truncated]
        assert ended == sorted(ended, reverse=True)
    # A hypothesis that continues the state of another one would be off by several units.
    assert np.abs(differences).mean() < 0.02
    assert np.abs(differences).max() < 0.2


def test_penalties_do_not_change_the_reported_scores(
    students: Mapping[str, MarianStudent], exact_students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    exact = get_engine_searcher(exact_students["en"])
    few = [row for row in rows if len(row) < 24][:6]
    options = replace(BEAM, repetition_penalty=1.5, no_repeat_ngram_size=1)
    for row, hypothesis in zip(few, students["en"].run(few, options, never), strict=True):
        for each in rank(hypothesis):
            assert len(set(each.ids)) == len(each.ids)
            output = each.ids if each.truncated else (*each.ids, END)
            score = score_step_by_step(exact.engine, exact.shortlist, row, output)
            assert each.log_prob == pytest.approx(score, abs=0.15 * len(output))


@pytest.mark.parametrize("options", [BEAM, OPTIONS[1], OPTIONS[2]])
def test_beams_are_as_close_to_float32_as_those_of_the_graphs(
    students: Mapping[str, MarianStudent],
    exact_students: Mapping[str, MarianStudent],
    graph_students: Mapping[str, MarianStudent],
    rows: Sequence[TokenIds],
    options: DecodingOptions,
) -> None:
    exact = exact_students["en"].run(rows, options, never)
    shares = []
    for student in (students["en"], graph_students["en"]):
        found = student.run(rows, options, never)
        shares.append(np.mean([a.ids == b.ids for a, b in zip(found, exact, strict=True)]))
        for mine, other in zip(found, exact, strict=True):
            assert len(mine.alternatives) == len(other.alternatives)
            if options.alignment and mine.ids == other.ids:
                agreeing = [a[0] == b[0] for a, b in zip(mine.alignment, other.alignment, strict=True)]
                assert np.mean(agreeing) >= 0.8
    print(f"{shares[0]:.2f} of the best hypotheses as in float32, of the graphs {shares[1]:.2f}")
    assert shares[0] >= 0.6
    assert shares[0] >= shares[1] - 0.1


def test_the_whole_vocabulary_of_a_row_is_that_of_a_model_without_a_shortlist(
    students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]
) -> None:
    packed = build_native("en", AVAILABLE[-1], listed=False)
    for options in OPTIONS[4:]:
        plain = replace(options, whole_vocabulary=False)
        assert students["en"].run(rows, options, never) == packed.search(rows, plain, never)


def test_a_cancelled_beam_keeps_what_it_has(students: Mapping[str, MarianStudent], rows: Sequence[TokenIds]) -> None:
    native, options, polls = get_native(students["en"]), BEAM, 0

    def cancelled() -> bool:
        nonlocal polls
        polls += 1
        return polls >= 3

    stopped = native.search(rows[:20], options, cancelled)
    assert polls in (3, 4)  # the next rows do not begin
    reached = [hypothesis for hypothesis in stopped if hypothesis.ids]
    assert 1 <= len(reached) <= 8
    for hypothesis in stopped:
        assert all(each.truncated for each in rank(hypothesis) if len(each.ids) in (0, 3))
    assert all(len(each.ids) <= 3 for hypothesis in reached for each in rank(hypothesis))


def test_an_id_beyond_the_vocabulary_is_refused(students: Mapping[str, MarianStudent]) -> None:
    native = get_native(students["en"])
    for options in (DecodingOptions(), BEAM):
        for token in (-1, 32_000):
            with pytest.raises(ValueError, match="refuses these ids"):
                native.search([(token, END)], options, never)


@pytest.mark.slow
@pytest.mark.parametrize("instructions", AVAILABLE)
def test_searches_of_odd_sizes_are_clean_under_the_sanitizers(tmp_path: Path, instructions: InstructionSet) -> None:
    """Covers one-token vocabularies, empty rows, beams wider than the candidates, early stops and wrong lengths."""
    compiler, command = choose_tools(instructions)
    program = build_searches(compiler, tmp_path, SANITIZERS)
    ended = subprocess.run([*command, str(program), str(int(instructions))], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "ok\n"), ended.stderr[-8_000:]
