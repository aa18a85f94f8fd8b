"""The constructor that both clients share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from latimer import _channel, types
from latimer._ledger import RETRY_DELAY, stream_retry

T = TypeVar("T")


class ClientBase(ABC, Generic[T]):
    """A client with a transport of type T, which opens no connection before the first call."""

    def __init__(
        self,
        address: str | Sequence[str] = "localhost:50051",
        *,
        timeout: float | None = None,
        token: _channel.Token = None,
        tls: types.TLS | None = None,
        retry: types.Retry | None = None,
        proxy: str | None = None,
        compression: str | None = None,
        channel_options: _channel.ChannelOptions = (),
        stream_retry_delay: float = RETRY_DELAY,
    ) -> None:
        """Checks the arguments.

        `address`: HOST:PORT, a list of them or several with commas between them (calls take turns, and avoid servers
        that cannot be reached), or a target of gRPC such as `dns:///mt.example.org:443` or `unix:/run/latimer.sock`.
        `timeout`: seconds for each call with all its requests; None means no limit. `token`: sent as `authorization:
        Bearer TOKEN`; a function is called for each request. `tls`: None means plaintext. `retry`: which requests are
        sent again; by default those that end with UNAVAILABLE, up to four times. `proxy`: http://HOST:PORT of an HTTP
        proxy; None takes it from the environment (`https_proxy`, `no_proxy`), "" uses none. `compression`: "gzip" or
        "deflate". `channel_options`: options of gRPC's channels, as pairs. `stream_retry_delay`: seconds until
        `translate_many` opens a broken stream again; the delay doubles with each further try, to at most 15 times this
        value. After a fork, the child opens connections of its own. Errors are subclasses of `LatimerError`.
        """
        self._connection = _channel.make_connection(
            address,
            timeout=timeout,
            token=token,
            tls=tls,
            retry=retry,
            proxy=proxy,
            compression=compression,
            channel_options=channel_options,
        )
        self._transport = self._make_transport()
        self._stream_retry = stream_retry(stream_retry_delay)

    @abstractmethod
    def _make_transport(self) -> T:
        """Returns the transport of `_connection`."""
