"""Tests of the segment cache in front of the queue: hits, results that must not be kept, and the flag CACHED."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds
from latimer_server.core.errors import DeadlineExceeded, Overloaded
from latimer_server.core.flags import Flag
from latimer_server.core.usage import Usage
from latimer_server.models.catalog.catalog import FileEntry
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.models.pool.vocabulary_coverage import VocabularyCoverage
from latimer_server.models.segment_cache import ModelCache, SegmentCache
from latimer_server.scheduling import BatchQueue, Executors, InflightLimit, Priority
from latimer_server.translation.model_run import ModelRunOptions, run_model
from latimer_server.translation.segment_output import SegmentOutput
from tests.fakes import BlockingBackend, EchoBackend, PoisonBackend, make_catalog, make_entry
from tests.pool_fakes import Maker, make_model, open_pool

OPTIONS = ModelRunOptions(
    DecodingOptions(), reject_overlong=False, priority=Priority.INTERACTIVE, deadline=None, caller=None
)


@asynccontextmanager
async def load(backend: EchoBackend, cache: ModelCache | None = None) -> AsyncIterator[LoadedGenerator]:
    """Returns the backend as a loaded model, with a new cache unless one is given."""
    executors = Executors(1)
    queue = BatchQueue(backend.run, backend.limits, executors.slot())
    cache = cache or SegmentCache(1_000_000).of_model("r1")
    yield LoadedGenerator(make_entry("en-pt", "en", "pt"), backend, queue, VocabularyCoverage(backend), cache)
    await queue.close()
    executors.close()


async def run(
    model: LoadedGenerator, texts: Sequence[str], options: ModelRunOptions = OPTIONS
) -> tuple[list[SegmentOutput | Exception], Usage]:
    usage = Usage()
    return await run_model(model, texts, options, InflightLimit(64), usage), usage


def count_rows(backend: EchoBackend) -> int:
    return sum(map(len, backend.batches))


async def test_a_cached_translation_costs_nothing_and_is_identical() -> None:
    backend = EchoBackend()
    async with load(backend) as model:
        first, cost = await run(model, ["One sentence.", "Another one."])
        again, nothing = await run(model, ["Another one.", "One sentence."])
    assert [output for output in again if isinstance(output, SegmentOutput)] == [
        replace(output, flags=(Flag.CACHED,)) for output in reversed(first) if isinstance(output, SegmentOutput)
    ]
    assert count_rows(backend) == 2
    assert (cost.pieces, nothing.pieces, nothing.input_tokens, nothing.output_tokens) == (2, 0, 0, 0)


async def test_cached_alternatives_and_alignment_are_identical() -> None:
    options = replace(OPTIONS, decoding=DecodingOptions(alignment=True))
    async with load(EchoBackend()) as model:
        guided = replace(model, entry=model.entry.model_copy(update={"guided_alignment": True}))
        (first,), _ = await run(guided, ["A sentence."], options)
        (again,), _ = await run(guided, ["A sentence."], options)
    assert isinstance(first, SegmentOutput)
    assert isinstance(again, SegmentOutput)
    assert first.links
    assert again.links == first.links


@pytest.mark.parametrize(
    "options",
    [
        replace(OPTIONS, decoding=DecodingOptions(beam_size=4)),
        replace(OPTIONS, decoding=DecodingOptions(max_output_tokens=3)),
        replace(OPTIONS, languages=LanguagePair("en", "pt")),
    ],
)
async def test_other_options_are_computed_again(options: ModelRunOptions) -> None:
    backend = EchoBackend()
    async with load(backend) as model:
        await run(model, ["A sentence."])
        (output,), _ = await run(model, ["A sentence."], options)
    assert isinstance(output, SegmentOutput)
    assert Flag.CACHED not in output.flags
    assert count_rows(backend) == 2


async def test_a_request_without_the_cache_neither_reads_nor_writes_it() -> None:
    backend, without = EchoBackend(), replace(OPTIONS, cached=False)
    async with load(backend) as model:
        await run(model, ["A sentence."], without)
        await run(model, ["A sentence."])  # the request did not write it
        (output,), _ = await run(model, ["A sentence."], without)
    assert isinstance(output, SegmentOutput)
    assert output.flags == ()
    assert count_rows(backend) == 3


async def test_a_segment_has_the_flag_only_if_all_its_pieces_were_cached() -> None:
    async with load(EchoBackend()) as model:
        await run(model, ["first line"])
        (output,), usage = await run(model, ["first line\nsecond line"])
        assert isinstance(output, SegmentOutput)
        assert (output.text, output.flags, usage.pieces) == ("first line\nsecond line", (), 1)
        (output,), usage = await run(model, ["second line\nfirst line"])
        assert isinstance(output, SegmentOutput)
        assert (output.flags, usage.pieces) == ((Flag.CACHED,), 0)


async def test_failures_are_not_cached() -> None:
    backend = PoisonBackend()
    async with load(backend) as model:
        for _ in range(2):
            outputs, _ = await run(model, ["POISON"])
            assert isinstance(outputs[0], RuntimeError)


async def test_results_of_an_aborted_batch_are_not_cached() -> None:
    class Cut(BlockingBackend):
        def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
            whole = super().run(batch, options, cancelled)
            return [replace(one, ids=one.ids[:1], truncated=True) for one in whole] if cancelled() else whole

    backend = Cut()
    async with load(backend) as model:
        leaving = asyncio.create_task(run(model, ["A sentence."]))
        await asyncio.to_thread(backend.started.wait, 10)
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving
        await asyncio.to_thread(backend.saw_cancelled.wait, 10)
        backend.release.set()
        (output,), _ = await run(model, ["A sentence."])
    assert isinstance(output, SegmentOutput)
    assert (output.text, output.flags) == ("A sentence.", ())


async def test_identical_concurrent_texts_are_computed_once() -> None:
    backend = EchoBackend()
    async with load(backend) as model:
        results = await asyncio.gather(*(run(model, ["The same.", f"Number {i % 3}."]) for i in range(60)))
    assert {output.text for outputs, _ in results for output in outputs if isinstance(output, SegmentOutput)} == {
        "The same.", "Number 0.", "Number 1.", "Number 2.",
    }  # fmt: skip
    assert count_rows(backend) <= 8  # the first batch starts before the other texts arrive


async def test_a_fully_cached_request_is_not_refused_for_its_deadline() -> None:
    async with load(EchoBackend()) as model:
        await run(model, ["A sentence."])
        outputs, _ = await run(model, ["A sentence."], replace(OPTIONS, deadline=0.0))
        assert isinstance(outputs[0], SegmentOutput)
        with pytest.raises(DeadlineExceeded):
            await run(model, ["Another one."], replace(OPTIONS, deadline=0.0))


async def test_a_request_that_would_be_late_is_refused_unless_it_has_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with load(EchoBackend()) as model:
        monkeypatch.setattr(model.queue, "estimate_wait", lambda *_: 3_600.0)
        in_an_hour = replace(OPTIONS, deadline=asyncio.get_running_loop().time() + 3_600)
        with pytest.raises(Overloaded):
            await run(model, ["A sentence."], in_an_hour)
        begun = Usage(pieces=1, input_tokens=4)
        await run_model(model, ["A sentence."], in_an_hour, InflightLimit(64), begun)


async def test_a_pivoted_segment_has_the_flag_only_if_both_models_cached_it() -> None:
    computed, cached = SegmentOutput("a", -1.0, 2), SegmentOutput("b", -1.0, 2, (Flag.CACHED,))
    start = SegmentOutput("", flags=(Flag.PIVOTED,))
    assert start.followed_by(cached).followed_by(cached).flags == (Flag.PIVOTED, Flag.CACHED, Flag.CACHED)
    assert start.followed_by(cached).followed_by(computed).flags == (Flag.PIVOTED,)
    assert start.followed_by(computed).followed_by(cached).flags == (Flag.PIVOTED,)


async def test_a_reloaded_model_uses_its_cache_if_the_catalogue_has_digests_of_all_its_files(tmp_path: Path) -> None:
    cache = SegmentCache(1_000_000)
    known = hashlib.sha256(b"w" * 10).hexdigest()
    pinned = make_model(tmp_path, "pinned", files={"model": FileEntry(path="model.bin", sha256=known)})
    unknown = make_model(tmp_path, "unknown")
    # The catalogue has a digest of the weights, but none of the vocabulary.
    files = {"model": FileEntry(path="model.bin", sha256=known), "vocabulary": FileEntry(path="vocab.spm")}
    half = make_model(tmp_path, "half", files=files)
    (tmp_path / "half" / "vocab.spm").write_bytes(b"v")
    async with open_pool(make_catalog(pinned, unknown, half), tmp_path, Maker(), cache=cache) as pool:

        async def translate(name: str) -> tuple[Flag, ...]:
            async with pool.hold_generator(name) as model:
                (output,), _ = await run(model, ["A sentence."])
            assert isinstance(output, SegmentOutput)
            return output.flags

        names = ("pinned", "unknown", "half")
        assert [await translate(name) for name in names] == [(), (), ()]
        for name in names:
            await pool.unload(name)
        assert [await translate(name) for name in names] == [(Flag.CACHED,), (), ()]
