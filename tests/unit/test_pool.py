"""Tests of the pool: models are loaded once, kept while in use, evicted for others, and failures have a reason."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from latimer_server.backends.protocol import Backend, LoadRequest
from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import ModelError, NotServed, Unavailable
from latimer_server.models.catalog.catalog import Task
from latimer_server.models.pool.loaded_model import ModelState
from tests.fakes import make_catalog
from tests.pool_fakes import Knot, Maker, SizedBackend, make_model, make_models, open_pool, states, until


async def test_a_model_is_loaded_once_for_many_callers_and_kept(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        await asyncio.gather(*(pool.load("a") for _ in range(50)))
        await pool.load("a")
        assert maker.made == {"a": 1}
        assert states(pool) == {"a": "READY"}


async def test_the_least_recently_used_model_is_evicted_by_its_measured_bytes(tmp_path: Path) -> None:
    maker = Maker({"a": 40, "b": 40, "c": 40})  # the size of the files is 10
    async with open_pool(make_models(tmp_path, "a b c"), tmp_path, maker, max_memory=100) as pool:
        for name in "abac":
            await pool.load(name)
        assert states(pool) == {"a": "READY", "b": "AVAILABLE", "c": "READY"}
        assert pool.describe("a").memory_bytes == 40


async def test_an_evicted_model_is_freed(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "a b"), tmp_path, maker, max_memory=10) as pool:
        await pool.load("a")
        await pool.load("b")
        gc.collect()
        assert len(maker.live) == 1


async def test_a_model_in_use_is_not_unloaded_and_new_callers_wait(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "hot new"), tmp_path, maker, max_memory=10) as pool:
        async with pool.hold_generator("hot") as hot:
            new = asyncio.create_task(pool.load("new"))
            await until(lambda: states(pool)["hot"] == "DRAINING")
            again = asyncio.create_task(pool.load("hot"))
            await asyncio.sleep(0)
            assert not new.done()
            assert not again.done()
            assert await hot.queue.submit((2, 0), DecodingOptions())  # it still works
        del hot
        await new
        await again
        assert maker.made == {"hot": 2, "new": 1}
        assert states(pool) == {"hot": "READY", "new": "AVAILABLE"}


async def test_a_load_returns_the_loaded_model_also_if_it_makes_room_at_once(tmp_path: Path) -> None:
    maker = Maker()
    maker.gate.clear()
    async with open_pool(make_models(tmp_path, "first second"), tmp_path, maker, max_memory=10) as pool:
        first = asyncio.create_task(pool.load("first"))
        await until(lambda: states(pool)["first"] == "LOADING")
        second = asyncio.create_task(pool.load("second"))
        await until(lambda: states(pool)["second"] == "LOADING")
        maker.gate.set()
        for load in (first, second):
            status = await load
            assert (status.state, status.memory_bytes) == (ModelState.READY, 10)
        assert states(pool) == {"first": "AVAILABLE", "second": "READY"}


async def test_a_cancelled_caller_leaves_no_reservation(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "hot new"), tmp_path, maker, max_memory=10) as pool:
        async with pool.hold_generator("hot"):
            callers = [asyncio.create_task(pool.load("new")) for _ in range(3)]
            await until(lambda: states(pool) == {"hot": "DRAINING", "new": "LOADING"})
            for caller in callers[:-1]:
                caller.cancel()
            await asyncio.gather(*callers[:-1], return_exceptions=True)
            assert states(pool) == {"hot": "DRAINING", "new": "LOADING"}  # one caller still waits
            callers[-1].cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            assert states(pool) == {"hot": "READY", "new": "AVAILABLE"}
            await asyncio.wait_for(pool.load("hot"), 10)
        assert maker.made == {"hot": 1}


async def test_a_started_load_continues_after_its_caller_is_cancelled(tmp_path: Path) -> None:
    maker = Maker()
    maker.gate.clear()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.load("a"), 0.01)
        maker.gate.set()
        await until(lambda: states(pool) == {"a": "READY"})
        await pool.load("a")
        assert maker.made == {"a": 1}


async def test_a_model_larger_than_the_budget_fails_by_name_and_has_no_routes(tmp_path: Path) -> None:
    catalog = make_catalog(make_model(tmp_path, "big", size=6 << 10), make_model(tmp_path, "small"))
    async with open_pool(catalog, tmp_path, Maker(), max_memory=2 << 10) as pool:
        with pytest.raises(NotServed, match=r"big needs 3\.0 KiB; max_model_memory is 2\.0 KiB"):
            await pool.load("big")
        assert "3.0 KiB" in pool.describe("big").error
        assert [entry.name for entry in pool.list_usable(Task.TRANSLATION)] == ["small"]


async def test_a_model_that_is_smaller_in_memory_than_its_files_is_loaded(tmp_path: Path) -> None:
    catalog = make_catalog(make_model(tmp_path, "shared", size=3 << 10), make_model(tmp_path, "small"))
    maker = Maker({"shared": 2 << 10})
    async with open_pool(catalog, tmp_path, maker, max_memory=2 << 10) as pool:
        await pool.load("shared")
        assert states(pool) == {"shared": "READY", "small": "AVAILABLE"}


async def test_a_model_that_exceeds_the_budget_after_loading_fails(tmp_path: Path) -> None:
    maker = Maker({"big": 3 << 10})
    async with open_pool(make_models(tmp_path, "big"), tmp_path, maker, max_memory=2 << 10) as pool:
        with pytest.raises(NotServed, match=r"big needs 3\.0 KiB"):
            await pool.load("big")
        gc.collect()
        assert len(maker.live) == 0


async def test_a_model_that_is_larger_than_estimated_waits_for_memory(tmp_path: Path) -> None:
    maker = Maker({"a": 60, "b": 60})
    async with open_pool(make_models(tmp_path, "a b"), tmp_path, maker, max_memory=100) as pool:
        async with pool.hold_generator("a"):
            b = asyncio.create_task(pool.load("b"))
            await until(lambda: states(pool)["a"] == "DRAINING")
            assert not b.done()
        await b
        assert states(pool) == {"a": "AVAILABLE", "b": "READY"}


async def test_preloaded_models_are_not_evicted(tmp_path: Path) -> None:
    async with open_pool(make_models(tmp_path, "kept a b"), tmp_path, Maker(), max_memory=20, pinned=["kept"]) as pool:
        for name in ("kept", "a", "b", "a"):
            await pool.load(name)
        assert states(pool) == {"a": "READY", "b": "AVAILABLE", "kept": "READY"}


async def test_unloading_waits_for_running_batches_and_frees_the_memory(tmp_path: Path) -> None:
    maker = Maker()
    changes: list[str] = []
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker, pinned=["a"]) as pool:
        pool.subscribe(changes.append)
        async with pool.hold_generator("a") as held:
            unloading = asyncio.create_task(pool.unload("a"))
            await until(lambda: states(pool) == {"a": "DRAINING"})
            assert await held.queue.submit((2, 0), DecodingOptions())
        del held
        assert (await unloading).state is ModelState.AVAILABLE
        # A thread may refer to the last work that it ran for a moment.
        await until(lambda: gc.collect() >= 0 and not maker.live)
        assert changes == ["a", "a"]


async def test_callers_of_a_model_that_is_being_unloaded_load_it_again_beside_the_old_one(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        async with pool.hold_generator("a") as held:
            unloading = asyncio.create_task(pool.unload("a"))
            await until(lambda: states(pool) == {"a": "DRAINING"})
            async with asyncio.timeout(10), pool.hold_generator("a") as again:
                assert again is not held
                assert await again.queue.submit((2, 0), DecodingOptions())
                assert await held.queue.submit((2, 0), DecodingOptions())
            assert not unloading.done()
        del held, again
        assert (await unloading).state is ModelState.READY
        # A thread may refer to the last work that it ran for a moment.
        await until(lambda: gc.collect() >= 0 and len(maker.live) == 1)
        assert maker.made == {"a": 2}


async def test_a_model_is_loaded_beside_one_that_is_being_unloaded_only_if_both_fit(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker, max_memory=15) as pool:
        async with pool.hold_generator("a"):
            unloading = asyncio.create_task(pool.unload("a"))
            await until(lambda: states(pool) == {"a": "DRAINING"})
            again = asyncio.create_task(pool.load("a"))
            await until(lambda: states(pool) == {"a": "LOADING"})
            assert maker.made == {"a": 1}
        await asyncio.wait_for(again, 10)
        await unloading
        assert states(pool) == {"a": "READY"}


async def test_unloading_an_unloaded_model_succeeds_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    async with open_pool(make_models(tmp_path, "a"), tmp_path, Maker()) as pool:
        assert (await pool.unload("a")).state is ModelState.AVAILABLE
        with pytest.raises(NotServed, match="there is no model 'b'"):
            await pool.unload("b")


async def test_a_model_that_is_unloaded_while_loading_serves_its_waiters_first(tmp_path: Path) -> None:
    maker = Maker()
    maker.gate.clear()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        loading = asyncio.create_task(pool.load("a"))
        await asyncio.sleep(0)
        unloading = asyncio.create_task(pool.unload("a"))
        await asyncio.sleep(0)
        maker.gate.set()
        await loading
        await unloading
        assert states(pool) == {"a": "AVAILABLE"}


async def test_a_failed_model_has_a_reason_and_is_loaded_again_only_on_request(tmp_path: Path) -> None:
    maker = Maker()
    maker.failing.add("a")
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        for _ in range(2):
            with pytest.raises(NotServed, match="model a failed to load: its weights are no weights"):
                await pool.load("a")
        assert maker.made == {"a": 1}
        assert pool.describe("a").error == "its weights are no weights"
        assert pool.list_usable(Task.TRANSLATION) == ()
        maker.failing.clear()
        await pool.load("a", again=True)
        assert states(pool) == {"a": "READY"}
        assert pool.describe("a").error == ""


class Panic(BaseException):
    """Like the exception that pyo3 raises for a panic in Rust."""


async def test_a_library_that_panics_fails_the_model_and_reserves_no_memory(tmp_path: Path) -> None:
    maker = Maker()

    def panic(request: LoadRequest) -> Backend:
        if request.name == "bad":
            raise Panic("called `Option::unwrap()` on a `None` value")
        return maker(request)

    async with open_pool(make_models(tmp_path, "bad good"), tmp_path, panic, max_memory=10) as pool:
        with pytest.raises(NotServed, match="bad failed to load: Panic while it was loaded"):
            await asyncio.wait_for(pool.load("bad"), 10)
        assert states(pool) == {"bad": "FAILED", "good": "AVAILABLE"}
        await asyncio.wait_for(pool.load("good"), 10)
        await asyncio.wait_for(pool.unload("bad"), 10)


async def test_a_load_is_cancelled_when_the_pool_closes(tmp_path: Path) -> None:
    started, stopped = threading.Event(), threading.Event()

    def make(request: LoadRequest) -> Backend:
        started.set()
        while not request.cancelled():
            time.sleep(0.01)
        stopped.set()
        raise ModelError("cancelled")

    async with open_pool(make_models(tmp_path, "a"), tmp_path, make) as pool:
        asking = asyncio.create_task(pool.load("a"))
        await until(started.is_set)
        await pool.close()
        with pytest.raises(Unavailable):
            await asking
    assert await asyncio.to_thread(stopped.wait, 10)


async def test_a_failed_model_is_loaded_again_after_its_files_change(tmp_path: Path) -> None:
    maker = Maker()
    maker.failing.add("a")
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        with pytest.raises(NotServed):
            await pool.load("a")
        maker.failing.clear()
        (tmp_path / "a" / "another.bin").write_bytes(b"")
        await pool.load("a")
        assert maker.made == {"a": 2}


async def test_a_failed_model_takes_no_memory(tmp_path: Path) -> None:
    alive: list[weakref.ref[Knot]] = []
    entry = make_model(tmp_path, "a", canary="The weather is nice today and we are going to the park.")
    async with open_pool(make_catalog(entry), tmp_path, lambda _: Knot(alive), max_memory=10) as pool:
        with pytest.raises(NotServed, match="canary came out in en"):
            await pool.load("a")
        assert [knot() for knot in alive] == [None]


async def test_removed_and_restored_files_are_seen_at_the_next_load(tmp_path: Path) -> None:
    async with open_pool(make_models(tmp_path, "a"), tmp_path, Maker()) as pool:
        file = tmp_path / "a" / "model.bin"
        file.rename(tmp_path / "away.bin")
        with pytest.raises(NotServed, match="model a is not fetched: run latimer-server models fetch a"):
            await pool.load("a")
        (tmp_path / "away.bin").rename(file)
        await pool.load("a")
        file.unlink()
        assert states(pool) == {"a": "READY"}  # a loaded model does not need its files
        assert (await pool.unload("a")).state is ModelState.NOT_FETCHED


async def test_a_model_of_the_wrong_task_is_refused_without_loading_it(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        with pytest.raises(NotServed, match="model extractive writes no text"):
            async with pool.hold_generator("extractive"):
                pass
        with pytest.raises(NotServed, match="model a ranks no sentences"):
            async with pool.hold_ranker("a"):
                pass
        assert maker.made == {}
        async with pool.hold_ranker("extractive") as ranker:
            assert ranker.backend.rank(["One.", "Two."], lambda: False).order


async def test_generated_summaries_run_beside_translations_on_half_the_cores(tmp_path: Path) -> None:
    maker = Maker()
    writer = make_model(tmp_path, "writer", task=Task.SUMMARIZATION, family="bart")
    async with open_pool(make_catalog(make_model(tmp_path, "a"), writer), tmp_path, maker) as pool:
        for name in ("a", "writer"):
            async with pool.hold_generator(name) as held:
                await held.queue.submit((2, 0), DecodingOptions())
                assert isinstance(held.backend, SizedBackend)
                assert {thread.split("_")[0] for thread in held.backend.threads} == {
                    "batch" if name == "a" else "generation"
                }
        assert maker.requests["a"].threads == 4
        assert maker.requests["writer"].threads == 2
        if sys.platform == "linux":  # threads have their own priority there
            assert maker.niceness["writer"] > maker.niceness["a"] == os.getpriority(os.PRIO_PROCESS, 0)
        assert [entry.name for entry in pool.list_usable(Task.SUMMARIZATION)] == ["extractive", "writer"]


async def test_a_closed_pool_refuses_new_and_waiting_callers(tmp_path: Path) -> None:
    maker = Maker()
    maker.gate.clear()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        waiting = asyncio.create_task(pool.load("a"))
        await asyncio.sleep(0)
        await pool.close()
        maker.gate.set()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await pool.load("a")


async def test_the_set_of_usable_models_is_the_same_object_until_it_changes(tmp_path: Path) -> None:
    maker = Maker()
    maker.failing.add("b")
    async with open_pool(make_models(tmp_path, "a b"), tmp_path, maker) as pool:
        usable = pool.list_usable(Task.TRANSLATION)
        await pool.load("a")
        assert pool.list_usable(Task.TRANSLATION) is usable
        with pytest.raises(NotServed):
            await pool.load("b")
        assert pool.list_usable(Task.TRANSLATION) is not usable
        assert [entry.name for entry in pool.list_usable(Task.TRANSLATION)] == ["a"]


async def test_a_model_that_the_garbage_collector_froze_is_freed_too(tmp_path: Path) -> None:
    alive: list[weakref.ref[Knot]] = []
    async with open_pool(make_models(tmp_path, "a"), tmp_path, lambda _: Knot(alive)) as pool:
        try:
            await pool.load("a")
            pool.freeze_loaded()
            await pool.unload("a")
            assert alive[0]() is None
        finally:
            gc.unfreeze()
