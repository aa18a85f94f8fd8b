"""The pool: a model is loaded once, in use it stays, unused it makes way, and what failed says why."""

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


async def test_a_model_is_made_once_however_many_ask_and_kept_for_the_next(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        await asyncio.gather(*(pool.load("a") for _ in range(50)))
        await pool.load("a")
        assert maker.made == {"a": 1}
        assert states(pool) == {"a": "READY"}


async def test_the_least_recently_used_makes_way_by_its_measured_bytes(tmp_path: Path) -> None:
    maker = Maker({"a": 40, "b": 40, "c": 40})  # the files say 10
    async with open_pool(make_models(tmp_path, "a b c"), tmp_path, maker, max_memory=100) as pool:
        for name in "abac":
            await pool.load(name)
        assert states(pool) == {"a": "READY", "b": "AVAILABLE", "c": "READY"}
        assert pool.describe("a").memory_bytes == 40


async def test_a_model_is_gone_for_good_once_it_made_way(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "a b"), tmp_path, maker, max_memory=10) as pool:
        await pool.load("a")
        await pool.load("b")
        gc.collect()
        assert len(maker.live) == 1


async def test_a_model_in_use_is_not_unloaded_and_those_who_ask_for_it_then_wait_their_turn(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "hot new"), tmp_path, maker, max_memory=10) as pool:
        async with pool.hold_generator("hot") as hot:
            new = asyncio.create_task(pool.load("new"))
            await until(lambda: states(pool)["hot"] == "DRAINING")
            again = asyncio.create_task(pool.load("hot"))
            await asyncio.sleep(0)
            assert not new.done()
            assert not again.done()
            assert await hot.queue.submit((2, 0), DecodingOptions())  # and it still works
        del hot
        await new
        await again
        assert maker.made == {"hot": 2, "new": 1}
        assert states(pool) == {"hot": "READY", "new": "AVAILABLE"}


async def test_a_cancelled_caller_leaves_nothing_behind(tmp_path: Path) -> None:
    maker = Maker()
    async with open_pool(make_models(tmp_path, "hot new"), tmp_path, maker, max_memory=10) as pool:
        async with pool.hold_generator("hot"):
            callers = [asyncio.create_task(pool.load("new")) for _ in range(3)]
            await until(lambda: states(pool) == {"hot": "DRAINING", "new": "LOADING"})
            for caller in callers[:-1]:
                caller.cancel()
            await asyncio.gather(*callers[:-1], return_exceptions=True)
            assert states(pool) == {"hot": "DRAINING", "new": "LOADING"}  # one still waits
            callers[-1].cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            assert states(pool) == {"hot": "READY", "new": "AVAILABLE"}
            await asyncio.wait_for(pool.load("hot"), 10)
        assert maker.made == {"hot": 1}


async def test_a_load_that_began_goes_on_when_its_caller_leaves(tmp_path: Path) -> None:
    maker = Maker()
    maker.gate.clear()
    async with open_pool(make_models(tmp_path, "a"), tmp_path, maker) as pool:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.load("a"), 0.01)
        maker.gate.set()
        await until(lambda: states(pool) == {"a": "READY"})
        await pool.load("a")
        assert maker.made == {"a": 1}


async def test_a_model_larger_than_the_bound_is_failed_by_name_and_no_route_goes_through_it(tmp_path: Path) -> None:
    catalog = make_catalog(make_model(tmp_path, "big", size=6 << 10), make_model(tmp_path, "small"))
    async with open_pool(catalog, tmp_path, Maker(), max_memory=2 << 10) as pool:
        with pytest.raises(NotServed, match=r"big needs 3\.0 KiB; max_model_memory is 2\.0 KiB"):
            await pool.load("big")
        assert "3.0 KiB" in pool.describe("big").error
        assert [entry.name for entry in pool.list_usable(Task.TRANSLATION)] == ["small"]


async def test_a_model_that_is_smaller_than_its_files_is_not_refused_by_their_size(tmp_path: Path) -> None:
    catalog = make_catalog(make_model(tmp_path, "shared", size=3 << 10), make_model(tmp_path, "small"))
    maker = Maker({"shared": 2 << 10})
    async with open_pool(catalog, tmp_path, maker, max_memory=2 << 10) as pool:
        await pool.load("shared")
        assert states(pool) == {"shared": "READY", "small": "AVAILABLE"}


async def test_a_model_that_turns_out_too_large_is_failed_too(tmp_path: Path) -> None:
    maker = Maker({"big": 3 << 10})
    async with open_pool(make_models(tmp_path, "big"), tmp_path, maker, max_memory=2 << 10) as pool:
        with pytest.raises(NotServed, match=r"big needs 3\.0 KiB"):
            await pool.load("big")
        gc.collect()
        assert len(maker.live) == 0


async def test_a_model_larger_than_its_files_said_waits_for_the_room_it_needs(tmp_path: Path) -> None:
    maker = Maker({"a": 60, "b": 60})
    async with open_pool(make_models(tmp_path, "a b"), tmp_path, maker, max_memory=100) as pool:
        async with pool.hold_generator("a"):
            b = asyncio.create_task(pool.load("b"))
            await until(lambda: states(pool)["a"] == "DRAINING")
            assert not b.done()
        await b
        assert states(pool) == {"a": "AVAILABLE", "b": "READY"}


async def test_preloaded_models_make_way_for_nobody(tmp_path: Path) -> None:
    async with open_pool(make_models(tmp_path, "kept a b"), tmp_path, Maker(), max_memory=20, pinned=["kept"]) as pool:
        for name in ("kept", "a", "b", "a"):
            await pool.load(name)
        assert states(pool) == {"a": "READY", "b": "AVAILABLE", "kept": "READY"}


async def test_unloading_waits_for_the_batches_and_gives_everything_back(tmp_path: Path) -> None:
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
        gc.collect()
        assert len(maker.live) == 0
        assert changes == ["a", "a"]


async def test_unloading_one_that_is_not_loaded_is_fine_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    async with open_pool(make_models(tmp_path, "a"), tmp_path, Maker()) as pool:
        assert (await pool.unload("a")).state is ModelState.AVAILABLE
        with pytest.raises(NotServed, match="there is no model 'b'"):
            await pool.unload("b")


async def test_a_model_that_is_unloaded_while_it_loads_serves_who_waited_and_goes(tmp_path: Path) -> None:
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


async def test_a_failed_model_says_why_is_not_tried_again_at_once_but_is_when_told(tmp_path: Path) -> None:
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
    """As pyo3 raises where Rust panics."""


async def test_a_library_that_panics_fails_the_model_and_keeps_no_room(tmp_path: Path) -> None:
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


async def test_a_load_is_told_when_the_pool_closes(tmp_path: Path) -> None:
    begun, told = threading.Event(), threading.Event()

    def make(request: LoadRequest) -> Backend:
        begun.set()
        while not request.cancelled():
            time.sleep(0.01)
        told.set()
        raise ModelError("nobody waits")

    async with open_pool(make_models(tmp_path, "a"), tmp_path, make) as pool:
        asking = asyncio.create_task(pool.load("a"))
        await until(begun.is_set)
        await pool.close()
        with pytest.raises(Unavailable):
            await asking
    assert await asyncio.to_thread(told.wait, 10)


async def test_a_failed_model_whose_files_change_is_tried_again(tmp_path: Path) -> None:
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


async def test_files_that_vanish_and_return_are_seen_at_the_next_load(tmp_path: Path) -> None:
    async with open_pool(make_models(tmp_path, "a"), tmp_path, Maker()) as pool:
        file = tmp_path / "a" / "model.bin"
        file.rename(tmp_path / "away.bin")
        with pytest.raises(NotServed, match="model a is not fetched: run latimer-server models fetch a"):
            await pool.load("a")
        (tmp_path / "away.bin").rename(file)
        await pool.load("a")
        file.unlink()
        assert states(pool) == {"a": "READY"}  # it needs them no more
        assert (await pool.unload("a")).state is ModelState.NOT_FETCHED


async def test_only_rankers_rank_and_only_writers_write_and_nothing_is_loaded_to_find_out(tmp_path: Path) -> None:
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
        if sys.platform == "linux":  # where a thread has a priority of its own
            assert maker.niceness["writer"] > maker.niceness["a"] == os.getpriority(os.PRIO_PROCESS, 0)
        assert [entry.name for entry in pool.list_usable(Task.SUMMARIZATION)] == ["extractive", "writer"]


async def test_a_closed_pool_refuses_and_those_who_wait_are_told(tmp_path: Path) -> None:
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


async def test_what_is_usable_is_the_same_object_until_something_changes(tmp_path: Path) -> None:
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


async def test_memory_that_settled_is_given_back_all_the_same(tmp_path: Path) -> None:
    alive: list[weakref.ref[Knot]] = []
    async with open_pool(make_models(tmp_path, "a"), tmp_path, lambda _: Knot(alive)) as pool:
        try:
            await pool.load("a")
            pool.freeze_loaded()
            await pool.unload("a")
            assert alive[0]() is None
        finally:
            gc.unfreeze()
