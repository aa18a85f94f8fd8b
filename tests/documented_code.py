"""The blocks of code of docs/clients.md, and stand-ins of the frameworks that they import."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "clients.md"


def read_blocks() -> dict[str, str]:
    """Returns the blocks of Python by the name in their first line, a comment."""
    blocks = re.findall(r"```python\n# (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(blocks)


async def run_block(name: str) -> dict[str, Any]:
    """Runs a block, in a thread, or if it has a top-level `await`, as a notebook does. Returns its names."""
    code = compile(read_blocks()[name], f"{PAGE.name}: {name}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {"__name__": "documented"}
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)  # noqa: S307 (our own page)
    else:
        await asyncio.to_thread(exec, code, names)
    return names


class HTTPException(Exception):
    """Stands for FastAPI's exception."""

    def __init__(self, status_code: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status_code = status_code
        self.detail = detail
        self.headers = headers


class FastAPI:
    """Stands for FastAPI's application: keeps its routes and its lifespan."""

    def __init__(self, *, lifespan: Callable[[FastAPI], Any]) -> None:
        self.lifespan = lifespan
        self.routes: dict[str, Callable[..., Any]] = {}

    def get(self, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Registers a function for a path."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.routes[path] = function
            return function

        return register


class DataFrame(dict[str, Any]):
    """Stands for a table of pandas: columns by name, all of one length."""

    def __setitem__(self, name: str, column: Sequence[Any]) -> None:
        assert all(len(column) == len(other) for other in self.values())
        super().__setitem__(name, column)


STAND_INS = {
    "fastapi": types.SimpleNamespace(FastAPI=FastAPI, HTTPException=HTTPException),
    "pandas": types.SimpleNamespace(DataFrame=DataFrame),
}
