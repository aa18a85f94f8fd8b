"""The examples of docs/clients.md with the real FastAPI and pandas, against a server with its real models.

`make test-system` installs both from tests/system/requirements.txt.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.documented_code import run_block
from tests.integration.test_process import listening


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    with listening() as (_, address), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATIMER_ADDRESS", address)
        yield


def require(name: str) -> Any:
    """Returns a module; skips the test without it, or fails it in `make test-system`."""
    if find_spec(name):
        return importlib.import_module(name)
    missing = f"no {name}: pip install --requirement tests/system/requirements.txt"
    if os.environ.get("LATIMER_TEST_TOOLS") == "required":
        pytest.fail(missing)
    pytest.skip(missing)


async def test_the_web_service() -> None:
    fastapi = require("fastapi")
    app = (await run_block("fastapi"))["app"]
    (translate,) = (route.endpoint for route in app.routes if route.path == "/translate")
    async with app.router.lifespan_context(app):
        answer = await translate(text="Good morning.", to="pt")
        assert (answer["text"], answer["from"]) == ("Bom dia.", "en")
        with pytest.raises(fastapi.HTTPException) as raised:
            await translate(text="Good morning.", to="??")
        assert raised.value.status_code == 400


async def test_the_column_of_a_table() -> None:
    pandas = require("pandas")
    table = (await run_block("pandas"))["table"]
    first, second, third = table["revisão"]
    assert first == "Bom dia."
    assert pandas.isna(second)
    assert "ponte" in third


async def test_a_table_and_a_missing_value_of_pandas_are_refused_by_name() -> None:
    pandas = require("pandas")
    from latimer import Client, InvalidArgumentError

    table = pandas.DataFrame({"a": ["One."], "b": ["Two."]})
    with Client(os.environ["LATIMER_ADDRESS"]) as client:
        with pytest.raises(InvalidArgumentError, match="DataFrame of 2 dimensions; pass one column"):
            client.translate(table, target="pt")
        (failed,) = client.translate(pandas.Series([pandas.NA]), target="pt")
        assert "item 0 is NAType" in str(failed.error)


@pytest.mark.parametrize("name", ["threads", "notebook", "options"])
async def test_the_other_examples(name: str) -> None:
    await run_block(name)
