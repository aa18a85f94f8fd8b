"""Metrics server: answers /metrics, /livez and /readyz over HTTP, in a thread of its own.

It has an event loop of its own, so that it answers while the server's loop hangs, and so that a scraper that sends or
reads slowly costs a few kilobytes instead of a thread. HTTP is parsed by h11.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import threading
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import h11
from prometheus_client import CollectorRegistry, make_wsgi_app

from latimer_server.core.errors import LatimerError

_log = logging.getLogger(__name__)

# Open connections. For a new one the oldest is closed that has not sent its request, so that idle ones shut nobody out
# and a flood of connections cuts no answer.
_MOST_CONNECTIONS = 32
_MOST_HEAD_BYTES = 8 << 10
# Seconds for a request to arrive, and for its answer to be read.
_SECONDS = 5.0
_BACKLOG = 64
_MOST_PORT = 65_535


class MetricsListenError(LatimerError):
    """The server of metrics cannot listen: the address cannot be used."""


@dataclass(frozen=True)
class Health:
    """The answer to a probe: whether the check holds, and else for which reasons."""

    reasons: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """True if there is no reason against it."""
        return not self.reasons


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


# Query, accepted formats and accepted encodings of a scrape.
_RenderingKey = tuple[str, str, str]


class MetricsServer:
    """Serves the metrics of a registry on an address.

    `refresh` brings the readings of the registry up to date before each scrape; it runs on the loop of this server.
    `check_liveness` and `check_readiness` are called in its thread. `port`: the bound port.
    """

    def __init__(
        self,
        address: str,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]],
        check_liveness: Callable[[], Health],
        check_readiness: Callable[[], Health],
    ) -> None:
        """Binds the address `HOST:PORT`; port 0 takes a free port. Raises `MetricsListenError`."""
        self._app = make_wsgi_app(registry)
        self._refresh = refresh
        self._checks = {"/livez": check_liveness, "/readyz": check_readiness}
        # Connections that have not sent their request yet, and those that get their answer, oldest first.
        self._waiting: OrderedDict[int, asyncio.StreamWriter] = OrderedDict()
        self._answering: OrderedDict[int, asyncio.StreamWriter] = OrderedDict()
        # Renderings that have not begun, the scrapers that wait for each, and the lock of the one that runs.
        self._pending: dict[_RenderingKey, asyncio.Task[_Answer]] = {}
        self._scrapers: Counter[_RenderingKey] = Counter()
        self._rendering = asyncio.Lock()
        # Renders beside the loop, so that a probe never waits for a scrape.
        self._renderer = ThreadPoolExecutor(1, "render")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="metrics", daemon=True)
        self._socket = _bind(address)
        self.port: int = self._socket.getsockname()[1]

    def start(self) -> None:
        """Starts to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stops answering and frees the port."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ended.set)
        if self._thread.is_alive():
            self._thread.join(_SECONDS)
        self._socket.close()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        # The default handler logs errors of connections, with the bytes of strangers in them.
        self._loop.set_exception_handler(lambda *_: None)
        server = await asyncio.start_server(self._serve, sock=self._socket, backlog=_BACKLOG, limit=_MOST_HEAD_BYTES)
        await self._ended.wait()
        server.close()
        for writer in (*self._waiting.values(), *self._answering.values()):
            writer.transport.abort()
        self._renderer.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._waiting) + len(self._answering) >= _MOST_CONNECTIONS:
            _, oldest = (self._waiting or self._answering).popitem(last=False)
            oldest.transport.abort()
        self._waiting[id(writer)] = writer
        try:
            async with asyncio.timeout(_SECONDS):
                connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD_BYTES)
                request = await _read_request(connection, reader)
                if self._waiting.pop(id(writer), None):
                    self._answering[id(writer)] = writer
                answer = request if isinstance(request, _Answer) else await self._answer(request)
            async with asyncio.timeout(_SECONDS):
                writer.write(_encode(connection, answer))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError):
            pass  # the scraper is slow or gone
        finally:
            self._waiting.pop(id(writer), None)
            self._answering.pop(id(writer), None)
            writer.transport.abort()

    async def _answer(self, request: h11.Request) -> _Answer:
        """Returns the answer to a request. Its body is not read."""
        path, _, query = request.target.decode("ascii", "replace").partition("?")
        if request.method != b"GET":
            return _answer_text(405, "use GET\n", ("Allow", "GET"))
        if path == "/metrics":
            return await self._share_scrape(query, dict(request.headers))
        if check := self._checks.get(path):
            health = check()
            body = {"status": "ok" if health.holds else "failing", "reasons": list(health.reasons)}
            headers = (("Content-Type", "application/json"),)
            return _Answer(200 if health.holds else 503, headers, f"{json.dumps(body)}\n".encode())
        return _answer_text(404, "this port has /metrics, /livez and /readyz\n")

    async def _share_scrape(self, query: str, headers: Mapping[bytes, bytes]) -> _Answer:
        """Returns the metrics in the format and encoding that the scraper accepts.

        A rendering takes some 50 ms of CPU. Scrapers that ask for the same while another one is made share the next.
        """
        accept, encoding = (headers.get(name, b"").decode("latin-1") for name in (b"accept", b"accept-encoding"))
        key = query, accept, encoding
        if key not in self._pending:
            self._pending[key] = asyncio.create_task(self._scrape(key))
        rendering = self._pending[key]
        self._scrapers[key] += 1
        try:
            # A scraper that goes does not end the rendering of the others.
            return await asyncio.shield(rendering)
        finally:
            if self._pending.get(key) is rendering:
                self._scrapers[key] -= 1
                # Renderings of scrapers that are gone would delay those of others.
                if not self._scrapers[key]:
                    del self._pending[key], self._scrapers[key]
                    rendering.cancel()

    async def _scrape(self, key: _RenderingKey) -> _Answer:
        async with self._rendering:
            del self._pending[key], self._scrapers[key]
            await self._refresh()
            return await asyncio.get_running_loop().run_in_executor(self._renderer, self._render, *key)

    def _render(self, query: str, accept: str, encoding: str) -> _Answer:
        """Renders the metrics. Runs in a thread of its own."""
        answer: list[_Answer] = []

        def start(_: str, answered: Iterable[tuple[str, str]]) -> None:
            answer.append(_Answer(200, tuple(answered), b""))

        environment = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/metrics",
            "QUERY_STRING": query,
            "HTTP_ACCEPT": accept,
            "HTTP_ACCEPT_ENCODING": encoding,
        }
        body = b"".join(self._app(environment, start))
        return _Answer(200, answer[0].headers, body)


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | _Answer:
    """Reads the head of one request, and returns it or the answer to bytes that are none."""
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(_MOST_HEAD_BYTES))
    except h11.RemoteProtocolError as error:
        return _answer_text(error.error_status_hint, "not a request that this port answers\n")
    if not isinstance(event, h11.Request):
        raise ConnectionResetError  # the scraper has closed the connection
    return event


def _encode(connection: h11.Connection, answer: _Answer) -> bytes:
    """Returns the bytes of an answer, after which the connection is closed."""
    headers = [*answer.headers, ("Content-Length", str(len(answer.body))), ("Connection", "close")]
    response = h11.Response(status_code=answer.status, headers=headers, reason=HTTPStatus(answer.status).phrase)
    events = (response, h11.Data(data=answer.body), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)


def _answer_text(status: int, text: str, *headers: tuple[str, str]) -> _Answer:
    return _Answer(status, (("Content-Type", "text/plain; charset=utf-8"), *headers), text.encode())


def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > _MOST_PORT:
        raise MetricsListenError(
            f"cannot serve metrics on {address}: write HOST:PORT or [IPV6]:PORT, with a port from 0 to {_MOST_PORT}; ''"
            " turns metrics off"
        )
    bare = host.removeprefix("[").removesuffix("]")
    try:
        infos = socket.getaddrinfo(bare, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(infos[0][4][:2], family=infos[0][0], backlog=_BACKLOG)
    except OSError as error:
        # The text of the system; that of asyncio repeats the address. Errors of names have negative numbers.
        cause = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or "unknown error"
        raise MetricsListenError(
            f"cannot serve metrics on {address}: {cause.lower()}; set --metrics HOST:PORT, or --metrics '' to turn"
            " metrics off"
        ) from error
