"""Tests of a student's beam search: against exhaustive search, greedy search, and scores computed step by step."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from latimer_server.backends.marian.beam import BeamSearch
from latimer_server.backends.marian.engine import END, UNKNOWN, Engine, choose_candidates
from latimer_server.backends.marian.greedy import GreedySearch
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.onnx_engine import OnnxEngine
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.backends.marian.torch_engine import TorchEngine
from latimer_server.backends.marian.weights import QuantizationLevels
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from tests.conformance.conftest import get_engine_searcher, never, read_sentences
from tests.marian_files import floats, model_items, write_model, write_shortlist

VOCABULARY = 20
SOURCES: list[TokenIds] = [(5, 9, 3, END), (7, END), (12, 4, 4, 18, 2, END), (END,)]
# Each source id has its own candidates in addition to the first three ids.
LISTS = [[3 + (5 * source + step) % (VOCABULARY - 3) for step in range(3)] for source in range(VOCABULARY)]


@pytest.fixture(scope="module", params=["onnx", "torch"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A tiny student in each engine. Its outputs differ in tokens and in length."""
    items = model_items({"dec-depth": 2})
    items["decoder_ff_logit_out_b"] = floats(1.0, *[0.1 * (i % 5) for i in range(1, VOCABULARY)])
    file = MarianFile(write_model(items), "model.bin")
    return (
        OnnxEngine(file, "model.bin", QuantizationLevels())
        if request.param == "onnx"
        else TorchEngine(file, "model.bin", "cpu")
    )


@pytest.fixture(scope="module")
def shortlist() -> Shortlist:
    return Shortlist(write_shortlist(LISTS), VOCABULARY, VOCABULARY, "lex.bin", shared=True)


def list_candidates(shortlist: Shortlist | None, source: TokenIds) -> list[int]:
    ids = range(VOCABULARY) if shortlist is None else shortlist.candidates(source).tolist()
    return [i for i in ids if i != UNKNOWN]


def search(
    engine: Engine, shortlist: Shortlist | None, sources: Sequence[TokenIds], options: DecodingOptions
) -> list[Hypothesis]:
    return BeamSearch(engine, shortlist, sources, options).run(never)


def score_step_by_step(engine: Engine, shortlist: Shortlist | None, source: TokenIds, output: Sequence[int]) -> float:
    """Returns the log-probability of an output, computed token by token with the engine alone."""
    total, previous = 0.0, None
    candidates = choose_candidates(engine, shortlist, [source])
    decoding = engine.begin([source], candidates, aligned=False)
    for position, token in enumerate(output):
        logits = decoding.step(previous, position)[0][0].astype(np.float64)
        place = candidates.ids[0].tolist().index(token)
        total += float(logits[place] - logits.max() - np.log(np.exp(logits - logits.max()).sum()))
        previous = np.array([token])
    return total


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("penalty", [None, 0.0, 0.6, 2.0])
def test_a_beam_as_wide_as_all_outputs_is_exhaustive_search(
    engine: Engine, shortlist: Shortlist, penalty: float | None, *, listed: bool
) -> None:
    lists = shortlist if listed else None
    wide, most = 500, 2
    options = DecodingOptions(beam_size=wide, max_output_tokens=most, length_penalty=penalty, hypothesis_count=10)
    found = search(engine, lists, SOURCES, options)
    lengths = set()
    for source, hypothesis in zip(SOURCES, found, strict=True):
        candidates = list_candidates(lists, source)
        words = [i for i in candidates if i != END]
        everything = []
        for length in range(most + 1):
            for ids in itertools.product(words, repeat=length):
                log_prob = score_step_by_step(engine, lists, source, (*ids, END))
                everything.append((log_prob / (length + 1) ** (1.0 if penalty is None else penalty), ids))
        everything.sort(reverse=True)
        ranked = [hypothesis, *hypothesis.alternatives]
        assert [h.ids for h in ranked] == [ids for _, ids in everything[: len(ranked)]]
        assert len(ranked) == min(10, len(everything))
        lengths |= {len(h.ids) for h in ranked}
    # With such a high length penalty the longest outputs win.
    assert len(lengths) > 1 or penalty == 2.0


@pytest.mark.parametrize("listed", [False, True])
def test_a_beam_of_one_is_greedy_search(engine: Engine, shortlist: Shortlist, *, listed: bool) -> None:
    lists, options = shortlist if listed else None, DecodingOptions(beam_size=1, max_output_tokens=12)
    greedy = GreedySearch(engine, lists, SOURCES, options).run(never)
    for mine, plain in zip(search(engine, lists, SOURCES, options), greedy, strict=True):
        assert (mine.ids, mine.truncated) == (plain.ids, plain.truncated)
        assert mine.log_prob == pytest.approx(plain.log_prob, abs=1e-4)


def test_a_beam_of_one_is_greedy_search_for_real_models_too(graph_students: Mapping[str, MarianStudent]) -> None:
    student, options = graph_students["en"], DecodingOptions(beam_size=1)
    searcher = get_engine_searcher(student)
    rows = [encoding.ids for encoding in student.encode(read_sentences("en")[::8])]
    mine = [BeamSearch(searcher.engine, searcher.shortlist, [row], options).run(never)[0] for row in rows]
    plain = [student.run([row], options, never)[0] for row in rows]
    assert [h.ids for h in mine] == [h.ids for h in plain]


@pytest.mark.parametrize("beam", [2, 4, 8])
def test_scores_equal_those_computed_step_by_step(exact_students: Mapping[str, MarianStudent], beam: int) -> None:
    student = exact_students["pt"]
    searcher = get_engine_searcher(student)
    options = DecodingOptions(beam_size=beam, hypothesis_count=beam)
    rows = [encoding.ids for encoding in student.encode(read_sentences("pt")[:160:16])]
    for row, hypothesis in zip(rows, student.run(rows, options, never), strict=True):
        ranked = [hypothesis, *hypothesis.alternatives]
        assert len(ranked) == len({h.ids for h in ranked}) == beam
        for each in ranked:
            output = each.ids if each.truncated else (*each.ids, END)
            again = score_step_by_step(searcher.engine, searcher.shortlist, row, output)
            assert each.log_prob == pytest.approx(again, abs=1e-2)
        ended = [h.log_prob / h.token_count for h in ranked if not h.truncated]
        assert ended == sorted(ended, reverse=True)


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(beam_size=4),
        DecodingOptions(beam_size=4, hypothesis_count=3, length_penalty=0.6),
        DecodingOptions(repetition_penalty=1.5),
        DecodingOptions(beam_size=2, no_repeat_ngram_size=2, max_length_ratio=1.2),
    ],
)
@pytest.mark.parametrize("engine", ["chosen", "onnx"])
def test_a_row_does_not_depend_on_its_batch(
    students: Mapping[str, MarianStudent],
    graph_students: Mapping[str, MarianStudent],
    engine: str,
    options: DecodingOptions,
) -> None:
    student, draw = (students if engine == "chosen" else graph_students)["en"], random.Random(3)
    rows = [encoding.ids for encoding in student.encode(read_sentences("en")[::10])]
    alone = [student.run([row], options, never)[0] for row in rows]
    order = draw.sample(range(len(rows)), len(rows))
    together = student.run([rows[index] for index in order], options, never)
    for index, hypothesis in zip(order, together, strict=True):
        assert (hypothesis.ids, hypothesis.truncated) == (alone[index].ids, alone[index].truncated)
        assert [h.ids for h in hypothesis.alternatives] == [h.ids for h in alone[index].alternatives]
        assert hypothesis.log_prob == pytest.approx(alone[index].log_prob, abs=1e-2)


def test_the_beam_is_widened_to_the_number_of_hypotheses(students: Mapping[str, MarianStudent]) -> None:
    student = students["en"]
    (row,) = student.encode(["The old red house near the river was sold yesterday."])
    narrow = student.run([row.ids], DecodingOptions(beam_size=2, hypothesis_count=5), never)
    assert narrow == student.run([row.ids], DecodingOptions(beam_size=5, hypothesis_count=5), never)
    assert len(narrow[0].alternatives) == 4


def test_a_wider_beam_finds_likelier_outputs(students: Mapping[str, MarianStudent]) -> None:
    student = students["en"]
    rows = [encoding.ids for encoding in student.encode(read_sentences("en")[::8])]
    means = [
        sum(h.log_prob / h.token_count for h in student.run(rows[at : at + 20], DecodingOptions(beam_size=beam), never))
        for beam in (1, 4)
        for at in (0, 20)
    ]
    assert means[2] > means[0]
    assert means[3] > means[1]


@pytest.mark.parametrize("beam", [1, 3])
def test_no_ngram_occurs_twice(engine: Engine, beam: int) -> None:
    options = DecodingOptions(beam_size=beam, max_output_tokens=20, hypothesis_count=beam, length_penalty=4.0)
    for size in (1, 2, 3):
        free = search(engine, None, SOURCES, options)
        assert any(_has_twice(each.ids, size) for h in free for each in (h, *h.alternatives))
        for hypothesis in search(engine, None, SOURCES, replace(options, no_repeat_ngram_size=size)):
            for each in (hypothesis, *hypothesis.alternatives):
                assert not _has_twice(each.ids, size)


def test_a_repetition_penalty_lowers_the_scores_of_repeated_tokens(engine: Engine) -> None:
    """Compares with a minimal search: Keskar et al. 2019, in the variant of Hugging Face."""
    penalty, most = 1.7, 12
    options = DecodingOptions(repetition_penalty=penalty, max_output_tokens=most)
    changed = 0
    for source, hypothesis in zip(SOURCES, search(engine, None, SOURCES, options), strict=True):
        said: list[int] = []
        candidates = choose_candidates(engine, None, [source])
        decoding = engine.begin([source], candidates, aligned=False)
        for position in range(most):
            logits = decoding.step(np.array(said[-1:]) if said else None, position)[0][0]
            for token in set(said):
                logits[token] = logits[token] / penalty if logits[token] > 0 else logits[token] * penalty
            best = int(logits.argmax())
            if best == END:
                break
            said.append(best)
        assert hypothesis.ids == tuple(said)
        output = hypothesis.ids if hypothesis.truncated else (*hypothesis.ids, END)
        assert hypothesis.log_prob == pytest.approx(score_step_by_step(engine, None, source, output), abs=1e-3)
        plain = search(engine, None, [source], replace(options, repetition_penalty=None))[0]
        changed += plain.ids != hypothesis.ids
    assert changed


def test_a_cancelled_batch_stops(students: Mapping[str, MarianStudent]) -> None:
    student = students["en"]
    (row,) = student.encode(["The old red house near the river was sold yesterday."])
    checks = 0

    def cancelled() -> bool:
        nonlocal checks
        checks += 1
        return checks >= 2

    (stopped,) = student.run([row.ids], DecodingOptions(beam_size=4, hypothesis_count=4), cancelled)
    assert checks == 2
    assert stopped.truncated
    assert [len(h.ids) for h in (stopped, *stopped.alternatives)] == [2] * 4


def test_the_output_cap_is_kept_by_every_hypothesis(students: Mapping[str, MarianStudent]) -> None:
    student = students["en"]
    (row,) = student.encode(["The old red house near the river was sold yesterday."])
    (cut,) = student.run([row.ids], DecodingOptions(beam_size=4, hypothesis_count=4, max_output_tokens=3), never)
    for each in (cut, *cut.alternatives):
        assert each.truncated
        assert len(each.ids) == 3


def _has_twice(ids: TokenIds, size: int) -> bool:
    ngrams = [ids[at : at + size] for at in range(len(ids) - size + 1)]
    return len(set(ngrams)) < len(ngrams)
