"""Calls are accepted in each turn of the loop, and what becomes of them is what the library alone would make of it."""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from latimer_server.rpc.eager_accept import AT_ONCE, AcceptingServer, is_known

from latimer_server.rpc import eager_accept

METHOD = "/test.Echo/Echo"
MANY = 300
SOME = 20


class Echo:
    """Answers each call with what it was sent, once all have come that it was told to wait for."""

    def __init__(self, awaited: int = 0) -> None:
        self.begun: list[bytes] = []
        self._awaited = awaited
        self._all = asyncio.Event()

    async def echo(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.begun.append(request)
        if request.startswith(b"refuse"):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
        if len(self.begun) >= self._awaited:
            self._all.set()
        await self._all.wait()
        return request


async def start(echo: Echo) -> tuple[AcceptingServer, int]:
    server = AcceptingServer(grpc.aio.server(), [])
    handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(echo.echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    server.add_registered_method_handlers("test.Echo", handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


async def stop(server: AcceptingServer) -> None:
    """And nothing of it is left."""
    await server.stop(None)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


def test_the_inside_of_the_library_that_is_installed_is_known() -> None:
    assert is_known(cygrpc)


async def test_every_call_of_many_at_once_is_answered_once_with_its_own() -> None:
    echo = Echo(awaited=MANY)
    server, port = await start(echo)
    sent = [b"%d" % number for number in range(MANY)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(METHOD)
        assert await asyncio.gather(*(call(one) for one in sent)) == sent
    assert sorted(echo.begun) == sorted(sent)
    await stop(server)


async def test_statuses_and_methods_that_there_are_not_are_as_without() -> None:
    server, port = await start(Echo())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for method, request, code in (
            (METHOD, b"refuse", grpc.StatusCode.RESOURCE_EXHAUSTED),
            ("/test.Echo/Other", b"", grpc.StatusCode.UNIMPLEMENTED),
        ):
            call: Any = channel.unary_unary(method)
            for _ in range(SOME):
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await call(request)
                assert raised.value.code() is code
        echo: Any = channel.unary_unary(METHOD)
        assert await echo(b"still") == b"still"
    await stop(server)


async def test_a_call_that_leaves_ends_its_work_and_the_next_is_accepted() -> None:
    echo = Echo(awaited=SOME + 1)
    server, port = await start(echo)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(METHOD)
        leaving = [asyncio.ensure_future(call(b"leave")) for _ in range(SOME)]
        while len(echo.begun) < SOME:
            await asyncio.sleep(0)
        for one in leaving:
            one.cancel()
        assert await call(b"stay") == b"stay"
    await stop(server)


async def test_a_stop_lets_calls_finish_and_accepts_no_more() -> None:
    echo = Echo(awaited=SOME + 1)
    server, port = await start(echo)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(METHOD)
        begun = [asyncio.ensure_future(call(b"%d" % number)) for number in range(SOME)]
        while len(echo.begun) < SOME:
            await asyncio.sleep(0)
        stopping = asyncio.create_task(server.stop(10))
        await asyncio.sleep(0)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"late")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        echo._all.set()
        assert await asyncio.gather(*begun) == [b"%d" % number for number in range(SOME)]
        await stopping


async def test_with_another_inside_calls_are_accepted_as_the_library_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Other:
        async def _handle_rpc(self, method_name: str) -> None:
            """Of other parameters."""

    monkeypatch.setattr(eager_accept, "cygrpc", Other())
    echo = Echo()
    with caplog.at_level(logging.WARNING):
        server, port = await start(echo)
    assert "not known" in caplog.text
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary(METHOD)
        assert await call(b"one") == b"one"
    await stop(server)


class FakeCore:
    """Gives calls when it is told to."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[str]] = []
        self.running = True

    def is_running(self) -> bool:
        return self.running

    async def _request_registered_call(self, method: bytes) -> str:
        self.asked.append(asyncio.get_running_loop().create_future())
        return f"{method.decode()} {await self.asked[-1]}"


class FakeLibrary:
    """The inside that is used."""

    AioServer = FakeCore

    class _RequestCallError(Exception):
        pass

    def __init__(self) -> None:
        self.handled: list[str] = []

    async def _handle_rpc(
        self,
        method_name: str,
        method_resolver: object,
        interceptors: object,
        rpc_state: str,
        loop: object,
        concurrency_exceeded: bool,
    ) -> None:
        self.handled.append(rpc_state)

    async def _schedule_rpc_coro(self, rpc_coro: Any, rpc_state: str, loop: object, method_name: str) -> None:
        await rpc_coro


class FakeServer:
    """What the library's server is to ours."""

    def __init__(self, core: FakeCore) -> None:
        self._server = core

    def add_registered_method_handlers(self, *_: object) -> None:
        pass

    async def start(self) -> None:
        pass


async def start_fake(core: FakeCore) -> AcceptingServer:
    server = AcceptingServer(FakeServer(core), [])  # type: ignore[arg-type]
    server.add_registered_method_handlers("test.Echo", {"Echo": object()})  # type: ignore[dict-item]
    await server.start()
    await asyncio.sleep(0)
    return server


async def test_a_turn_accepts_what_has_come_and_as_many_more_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    library, core = FakeLibrary(), FakeCore()
    monkeypatch.setattr(eager_accept, "cygrpc", library)
    server = await start_fake(core)
    assert len(core.asked) == AT_ONCE
    for number, future in enumerate(list(core.asked)):
        future.set_result(str(number))
    await asyncio.sleep(0)  # all are accepted
    assert len(core.asked) == 2 * AT_ONCE
    await asyncio.sleep(0)  # they are scheduled
    assert library.handled == [f"{METHOD} {number}" for number in range(AT_ONCE)]
    core.asked[-1].set_exception(library._RequestCallError())  # its caller had left
    await asyncio.sleep(0)
    assert len(core.asked) == 2 * AT_ONCE + 1
    core.running = False
    for future in core.asked[AT_ONCE:]:
        if not future.done():
            future.set_exception(library._RequestCallError())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not server._tasks


async def test_a_call_is_not_kept_until_the_next_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    class State(str):
        """Of which one can tell whether it is there."""

    held: list[weakref.ref[State]] = []

    class Core(FakeCore):
        async def _request_registered_call(self, method: bytes) -> str:
            state = State(await super()._request_registered_call(method))
            held.append(weakref.ref(state))
            return state

    class Library(FakeLibrary):
        async def _schedule_rpc_coro(self, rpc_coro: Any, rpc_state: str, loop: object, method_name: str) -> None:
            rpc_coro.close()

    core = Core()
    monkeypatch.setattr(eager_accept, "cygrpc", Library())
    await start_fake(core)
    core.asked[0].set_result("")
    for _ in range(3):
        await asyncio.sleep(0)
    assert [one() for one in held] == [None]


async def test_what_goes_wrong_with_accepting_is_said_and_left_to_the_library(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    core = FakeCore()
    monkeypatch.setattr(eager_accept, "cygrpc", FakeLibrary())
    server = await start_fake(core)
    core.asked[0].set_exception(RuntimeError("out of order"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "slowly" in caplog.text
    assert "out of order" in caplog.text
    assert not server._tasks
    assert len(core.asked) == AT_ONCE
