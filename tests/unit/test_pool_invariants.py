"""Property tests of the pool: for any order of operations the memory budget holds and every caller is answered."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import NotServed
from tests.pool_fakes import Maker, make_models, open_pool, states, until

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["use", "use", "use", "vanish", "return", "unload", "leave"]), st.integers(0, 4)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(OPERATIONS, st.booleans())
def test_the_budget_holds_and_every_caller_is_answered(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]], with_kept: bool
) -> None:
    asyncio.run(_live(tmp_path_factory.mktemp("models"), operations, with_kept))


async def _live(folder: Path, operations: list[tuple[str, int]], with_kept: bool) -> None:
    maker = Maker({f"m{number}": 8 + 4 * number for number in range(5)})
    catalog = make_models(folder, "m0 m1 m2 m3 m4")
    pinned = ["m0"] if with_kept else []
    async with open_pool(catalog, folder, maker, max_memory=40, pinned=pinned) as pool:
        tasks: list[asyncio.Task[Any]] = []
        refusals: list[tuple[str, str]] = []

        async def use(name: str) -> None:
            try:
                async with pool.hold_generator(name) as model:
                    for _ in range(3):
                        ready = [state for state in states(pool).values() if state in ("READY", "DRAINING")]
                        assert len(ready) <= 4
                        await model.queue.submit((2, 0), DecodingOptions())
            except NotServed as error:
                refusals.append((name, str(error)))

        for what, number in operations:
            name = f"m{number}"
            file = folder / name / "model.bin"
            if what == "use":
                tasks.append(asyncio.create_task(use(name)))
            elif what == "vanish":
                file.unlink(missing_ok=True)
            elif what == "return":
                file.write_bytes(b"w" * 10)
            elif what == "unload":
                tasks.append(asyncio.create_task(pool.unload(name)))
            elif tasks:
                tasks[number % len(tasks)].cancel()
            loaded = [status for entry in catalog.entries if (status := pool.describe(entry.name)).memory_bytes]
            assert sum(status.memory_bytes for status in loaded) <= 40
            await asyncio.sleep(0)
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        assert all(
            result is None or isinstance(result, asyncio.CancelledError) or hasattr(result, "state") for result in done
        ), done
        assert all(name in refusal for name, refusal in refusals)
        del done
        tasks.clear()  # their exceptions refer to the models that they held
        await until(lambda: not {"LOADING", "DRAINING"} & set(states(pool).values()))
        gc.collect()
        assert sum(backend.memory_bytes for backend in maker.live.values()) <= 40
