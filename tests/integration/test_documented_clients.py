"""The examples of docs/clients.md run as they stand. FastAPI and pandas are stand-ins of the same shape here; `make
test-system` runs these examples with the real packages."""

from __future__ import annotations

import sys

import pytest

from latimer_server.rpc.server import LatimerServer
from tests.documented_code import STAND_INS, HTTPException, read_blocks, run_block


@pytest.fixture(autouse=True)
def _environment(server: LatimerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATIMER_ADDRESS", f"127.0.0.1:{server.port}")
    for name, module in STAND_INS.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_every_block_has_a_test() -> None:
    assert set(read_blocks()) == {"fastapi", "pandas", "threads", "notebook", "options"}


async def test_the_web_service() -> None:
    names = await run_block("fastapi")
    app = names["app"]
    translate = app.routes["/translate"]
    async with app.lifespan(app):
        answer = await translate(text="The bridge is closed until Monday.", to="pt")
        assert answer["text"] == "The bridge is closed until Monday."
        assert answer["from"] == "en"
        assert "COPIED_SOURCE" in answer["warnings"]
        with pytest.raises(HTTPException) as raised:
            await translate(text="Good morning.", to="??")
        assert raised.value.status_code == 400


async def test_the_column_of_a_table() -> None:
    table = (await run_block("pandas"))["table"]
    assert table["revisão"] == ["Good morning.", None, "The bridge is closed until Monday."]
    assert len(table["warnings"]) == 3


async def test_the_crawler() -> None:
    names = await run_block("threads")
    assert len(names["found"]) == 200
    assert names["found"]["/a/7"] == "This is the page at /a/7."
    assert set(names["suspicious"]) <= set(names["found"])


async def test_the_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    await run_block("notebook")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] in "The old bridge is closed. It opens in May. The town council decided so on Monday."
    assert lines[1] == "English to português"
    assert lines[2].startswith("The old bridge is closed. | The old bridge is closed. |")
    assert len(lines) == 5


async def test_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    await run_block("options")
    shown = capsys.readouterr().out
    assert "ponte" in shown
    assert shown.startswith("<p>")
