"""The ranking of a text counts as a batch of its model, and its time as work of its call."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from latimer_server.backends.extractive import ExtractiveRanker
from latimer_server.core.telemetry import BatchReport, LoadWait, NoTelemetry
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedRanker
from latimer_server.models.pool.ranking_run import RankingRun
from latimer_server.scheduling import Executors, Priority
from tests.fakes import make_catalog

SENTENCES = ("The old bridge was closed on Monday.", "A new bridge opens to all traffic in May.")


class Reports(NoTelemetry):
    """Keeps the reports of batches."""

    def __init__(self) -> None:
        self.batches: list[BatchReport] = []

    def note_batch(self, report: BatchReport) -> None:
        self.batches.append(report)


@pytest.fixture
def executors() -> Iterator[Executors]:
    made = Executors(1)
    yield made
    made.close()


async def test_a_ranking_is_reported_as_a_batch_of_one_row(executors: Executors) -> None:
    reports, ticks = Reports(), itertools.count(100.0)
    model = LoadedRanker(make_catalog().get("extractive"), ExtractiveRanker())
    run = RankingRun(executors.single_core_slot(), reports, lambda: next(ticks))
    timed = await run.rank(model, SENTENCES, Priority.INTERACTIVE)
    assert sorted(timed.ranking.order) == [0, 1]
    (report,) = reports.batches
    assert (report.model, report.queue_seconds) == ("extractive", (1.0,))
    assert report.queue_seconds[0] == timed.started - timed.queued
    assert report.started < report.backend_started < report.backend_ended == timed.ended < report.ended


def test_the_times_of_a_ranking_count_as_a_piece_without_tokens() -> None:
    usage = Usage()
    usage.count_times(1.0, 3.0, 8.0)
    assert (usage.queue_seconds, usage.compute_seconds) == (2.0, 5.0)
    assert (usage.input_tokens, usage.output_tokens) == (0, 0)


def test_waits_for_models_that_overlap_count_once() -> None:
    now = 0.0
    wait = LoadWait(lambda: now)
    with wait.measure():
        now = 2.0
        with wait.measure():
            now = 5.0
        assert wait.seconds == 5.0
        now = 6.0
    now = 10.0
    assert wait.seconds == 6.0
    with wait.measure():
        now = 11.0
    assert wait.seconds == 7.0
