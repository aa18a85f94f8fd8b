"""Tests of the segment cache: exact results for the same model, options and tokens, within the memory bound."""

from __future__ import annotations

import gc
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.core.decoding import DecodingOptions, Hypothesis
from latimer_server.models.segment_cache import SegmentCache

PLAIN = DecodingOptions()

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=12).map(tuple)
FLOATS = st.floats(allow_nan=False)
LINKS = st.lists(st.tuples(st.integers(0, 500), FLOATS), max_size=5).map(tuple)
SIMPLE = st.builds(Hypothesis, ids=IDS, log_prob=FLOATS, truncated=st.booleans(), alignment=LINKS)
HYPOTHESES = st.builds(
    Hypothesis,
    ids=IDS,
    log_prob=FLOATS,
    truncated=st.booleans(),
    alternatives=st.lists(SIMPLE, max_size=3).map(tuple),
    alignment=LINKS,
)


@given(IDS, HYPOTHESES)
def test_a_hit_equals_the_stored_hypothesis(ids: tuple[int, ...], hypothesis: Hypothesis) -> None:
    model = SegmentCache(1_000_000).of_model("r1")
    assert model.get(ids, PLAIN) is None
    model.put(ids, PLAIN, hypothesis)
    assert model.get(ids, PLAIN) == hypothesis


def test_another_revision_other_options_and_other_ids_are_misses() -> None:
    cache = SegmentCache(1_000_000)
    cache.of_model("r1").put((1, 2), PLAIN, Hypothesis((5,), -1.0, truncated=False))
    assert cache.of_model("r1").get((1, 2), DecodingOptions()) is not None
    assert cache.of_model("r2").get((1, 2), PLAIN) is None
    assert cache.of_model("r1").get((1, 2, 0), PLAIN) is None
    assert cache.of_model("r1").get((2, 1), PLAIN) is None
    for options in (
        DecodingOptions(beam_size=1),
        DecodingOptions(target="pt"),
        DecodingOptions(hypothesis_count=2),
        DecodingOptions(alignment=True),
        DecodingOptions(length_penalty=0.1),
    ):
        assert cache.of_model("r1").get((1, 2), options) is None


def test_the_least_recently_used_entry_is_evicted_first() -> None:
    cache = SegmentCache(1_000)
    model = cache.of_model("r1")
    number = 0
    while len(cache) == number:
        number += 1
        model.put((number,), PLAIN, Hypothesis((number,), 0.0, truncated=False))
        model.get((1,), PLAIN)
    assert model.get((1,), PLAIN) is not None
    assert model.get((2,), PLAIN) is None


def test_an_entry_larger_than_the_bound_is_not_kept_and_evicts_nothing() -> None:
    cache = SegmentCache(1_000)
    model = cache.of_model("r1")
    model.put((1,), PLAIN, Hypothesis((1,), 0.0, truncated=False))
    model.put((2,), PLAIN, Hypothesis(tuple(range(1_000)), 0.0, truncated=False))
    assert (len(cache), model.get((2,), PLAIN)) == (1, None)


@settings(max_examples=200)
@given(
    st.integers(0, 3_000),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60), st.booleans()), max_size=80),
)
def test_the_bound_holds_and_a_hit_is_the_last_stored_value(bound: int, steps: list[tuple[int, int, bool]]) -> None:
    cache = SegmentCache(bound)
    model = cache.of_model("r1")
    last: dict[int, Hypothesis] = {}
    for name, length, is_put in steps:
        if is_put:
            last[name] = Hypothesis((length,) * length, float(length), truncated=False)
            model.put((name,), PLAIN, last[name])
        found = model.get((name,), PLAIN)
        assert found is None or found == last[name]
        assert cache.used_bytes <= bound
        assert (cache.used_bytes == 0) == (len(cache) == 0)


def test_the_allocated_memory_stays_within_the_bound() -> None:
    bound = 4_000_000
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    cache = SegmentCache(bound)
    model = cache.of_model("r1")
    most = 0
    for number in range(30_000):
        model.put((number, 1, 2), PLAIN, Hypothesis(tuple(range(number % 40)), -1.5, truncated=False))
        if number % 500 == 0:
            most = max(most, tracemalloc.get_traced_memory()[0] - before)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert cache.used_bytes > 0.99 * bound
    assert 0.5 * bound < taken <= most <= bound


def test_a_sentence_of_20_words_needs_the_documented_memory() -> None:
    cache = SegmentCache(1_000_000)
    ids = tuple(range(1_000, 1_031))
    cache.of_model("r1").put(ids, PLAIN, Hypothesis(ids, -3.5, truncated=False))
    assert 440 <= cache.used_bytes <= 480
