"""Tests of transformers and CTranslate2 on the same trained checkpoints: equal and correct outputs."""

from __future__ import annotations

import pytest

from latimer_server.core.decoding import DecodingOptions, LanguagePair
from tests import little_languages
from tests.conformance.hub import CHECKPOINTS, CONVERTIBLE, load, run, write

# The first test of each checkpoint trains it.
pytestmark = pytest.mark.slow

MEANINGS = little_languages.draw_meanings(120, seed=99)
BACKENDS = [(name, "transformers") for name in CHECKPOINTS] + [(name, "ctranslate2") for name in CONVERTIBLE]
BEAM = DecodingOptions(beam_size=4)


def texts_of(name: str, pair: LanguagePair) -> list[str]:
    return [CHECKPOINTS[name].source(meaning, pair) for meaning in MEANINGS]


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_a_checkpoint_performs_its_trained_task(name: str, backend: str) -> None:
    checkpoint, loaded = CHECKPOINTS[name], load(name, backend)
    for pair in checkpoint.pairs:
        outputs = write(loaded, run(loaded, texts_of(name, pair), pair))
        right = sum(
            output == checkpoint.reference(meaning, pair) for output, meaning in zip(outputs, MEANINGS, strict=True)
        )
        assert right >= 0.95 * len(MEANINGS), f"{pair}: {right} of {len(MEANINGS)} are right"


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_both_backends_give_the_same_output(name: str) -> None:
    first, second = load(name, "transformers"), load(name, "ctranslate2")
    for pair in CHECKPOINTS[name].pairs:
        texts = texts_of(name, pair)
        assert [row.ids for row in first.encode(texts, pair)] == [row.ids for row in second.encode(texts, pair)]
        greedy = [run(backend, texts, pair) for backend in (first, second)]
        assert write(first, greedy[0]) == write(second, greedy[1])
        beams = [write(backend, run(backend, texts, pair, BEAM)) for backend in (first, second)]
        same = sum(a == b for a, b in zip(*beams, strict=True))
        print(f"{name} {pair}: beam 4 the same in {same} of {len(texts)}")
        assert same >= 0.98 * len(texts)


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_both_backends_give_the_same_scores(name: str) -> None:
    pair = CHECKPOINTS[name].pairs[0]
    for options in (DecodingOptions(beam_size=1), BEAM, DecodingOptions(beam_size=4, length_penalty=0.5)):
        results = [
            run(load(name, backend), texts_of(name, pair)[:40], pair, options)
            for backend in ("transformers", "ctranslate2")
        ]
        for ours, theirs in zip(*results, strict=True):
            if ours.ids == theirs.ids:
                assert ours.log_prob == pytest.approx(theirs.log_prob, abs=2e-2)
            assert ours.log_prob <= 1e-3


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_n_best_hypotheses_are_different_and_the_best_comes_first(name: str, backend: str) -> None:
    pair, loaded = CHECKPOINTS[name].pairs[0], load(name, backend)
    options = DecodingOptions(beam_size=4, hypothesis_count=3, length_penalty=0.0)
    for hypothesis in run(loaded, texts_of(name, pair)[:10], pair, options):
        ranked = (hypothesis, *hypothesis.alternatives)
        assert len(ranked) == 3
        assert len({one.ids for one in ranked}) == 3
        scores = [one.log_prob for one in ranked if not one.truncated]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_an_output_does_not_depend_on_its_batch(name: str, backend: str) -> None:
    pair, loaded = CHECKPOINTS[name].pairs[0], load(name, backend)
    texts = texts_of(name, pair)[:24]
    for options in (DecodingOptions(beam_size=1), BEAM):
        alone = run(loaded, texts, pair, options, batch=1)
        together = run(loaded, texts, pair, options, batch=24)
        assert [one.ids for one in together] == [one.ids for one in alone]


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
@pytest.mark.parametrize("hostile", [">>fin<< ", "</s> ", "<pad>", "__fi__", "<|end|>\n<|start|>system\n", "<s>"])
def test_text_that_looks_like_a_special_token_is_treated_as_text(name: str, backend: str, hostile: str) -> None:
    pair, loaded = CHECKPOINTS[name].pairs[0], load(name, backend)
    plain, marked = loaded.encode(["ba", hostile + "ba"], pair)
    special = ("</s>", "<pad>", "<s>", ">>fin<<", "__fi__", "<|end|>", "<|start|>")
    # The protocol does not expose the names of ids, so this test accesses a private field.
    tokenization = loaded._tokenization  # type: ignore[attr-defined]
    counts = [[tokenization.tokens(row.ids).count(token) for token in special] for row in (plain, marked)]
    assert counts[0] == counts[1]
    assert len(marked.ids) > len(plain.ids)


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_the_output_cap_is_kept_and_reported(name: str, backend: str) -> None:
    pair, loaded = CHECKPOINTS[name].pairs[0], load(name, backend)
    for beam in (1, 4):
        (cut,) = run(loaded, texts_of(name, pair)[:1], pair, DecodingOptions(beam_size=beam, max_output_tokens=3))
        assert len(cut.ids) <= 3
        assert cut.truncated or beam > 1  # a hypothesis of a beam may be shorter than the cap


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_a_cancelled_batch_stops(name: str, backend: str) -> None:
    pair, loaded = CHECKPOINTS[name].pairs[0], load(name, backend)
    rows = [encoding.ids for encoding in loaded.encode(texts_of(name, pair)[:4], pair)]
    stopped = loaded.run(rows, DecodingOptions(beam_size=1, target=pair.target), lambda: True)
    assert len(stopped) == 4
    assert all(hypothesis.truncated and len(hypothesis.ids) <= 2 for hypothesis in stopped)


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_token_starts_are_ascending(name: str, backend: str) -> None:
    loaded = load(name, backend)
    text = little_languages.draw_meanings(1, seed=4)[0].write("en")
    starts = loaded.token_starts(text)
    assert starts == sorted(starts)
    assert 0 <= starts[0] <= starts[-1] < len(text)
    pair = CHECKPOINTS[name].pairs[0]
    assert len(starts) + loaded.limits.added_tokens == len(loaded.encode([text], pair)[0].ids)


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_int8_outputs_are_nearly_the_same(name: str) -> None:
    pair = CHECKPOINTS[name].pairs[0]
    whole, small = load(name, "ctranslate2"), load(name, "ctranslate2", "int8")
    assert small.memory_bytes < whole.memory_bytes
    outputs = [write(backend, run(backend, texts_of(name, pair), pair)) for backend in (whole, small)]
    same = sum(a == b for a, b in zip(*outputs, strict=True))
    print(f"{name}: int8 and float32 give the same in {same} of {len(MEANINGS)}")
    assert same >= 0.9 * len(MEANINGS)


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_repetitions_can_be_forbidden(name: str, backend: str) -> None:
    pair, loaded = CHECKPOINTS[name].pairs[0], load(name, backend)
    texts = texts_of(name, pair)[:20]
    for hypothesis in run(loaded, texts, pair, DecodingOptions(beam_size=2, no_repeat_ngram_size=1)):
        assert len(set(hypothesis.ids)) == len(hypothesis.ids)
    penalized = run(loaded, texts, pair, DecodingOptions(beam_size=1, repetition_penalty=4.0))
    begun = [[one.ids[:10] for one in outputs] for outputs in (penalized, run(loaded, texts, pair))]
    repeats = [sum(len(ids) - len(set(ids)) for ids in outputs) for outputs in begun]
    assert repeats[0] <= repeats[1]
    assert begun[0] != begun[1]
