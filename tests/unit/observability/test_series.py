"""Our counters and histograms render as those of prometheus-client do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from latimer_server.observability.series import Counts, Distributions

BOUNDS = (0.5, 1, 2.5, 300)


@given(st.lists(st.one_of(st.floats(0, 1_000), st.sampled_from(BOUNDS))))
def test_a_histogram_has_the_samples_of_the_library_for_the_same_values(values: list[float]) -> None:
    registry = CollectorRegistry()
    theirs = Histogram("h", "Help.", ("model",), buckets=BOUNDS, registry=registry).labels("m")
    ours = Distributions("h", "Help.", ("model",), BOUNDS)
    found = ours.find("m")
    for value in values:
        theirs.observe(value)
        found.observe(value)
    (family,) = registry.collect()
    expected = [(s.name, s.labels, s.value) for s in family.samples if not s.name.endswith("_created")]
    assert [(s.name, s.labels, s.value) for s in ours.render().samples] == expected


def test_a_series_begins_at_zero_and_is_found_again() -> None:
    counts = Counts("c", "Help.", ("reason",))
    assert counts.find("a") is counts.find("a")
    counts.find("b").value += 2
    assert [(s.name, s.labels["reason"], s.value) for s in counts.render().samples] == [
        ("c_total", "a", 0),
        ("c_total", "b", 2),
    ]
