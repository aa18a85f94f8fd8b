"""A client of raw HTTP/2 frames, for requests that no gRPC library would send. Blocking: use it in a thread."""

from __future__ import annotations

import gzip
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

Headers = Sequence[tuple[bytes, bytes]]


def frame_message(message: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """A gRPC message with its prefix. `length`: as it claims to be."""
    if compressed:
        message = gzip.compress(message)
    return struct.pack(">BI", compressed, len(message) if length is None else length) + message


class RawConnection:
    """One connection. `window`: bytes that the server may send on each stream. `ended`: trailers by ended stream."""

    def __init__(self, port: int, *, window: int | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._http = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
            )
        )
        self._begun: set[int] = set()
        self.ended: dict[int, Mapping[bytes, bytes]] = {}
        if window is not None:
            self._http.local_settings = h2.settings.Settings(
                client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
            )
        self._http.initiate_connection()
        self._flush()

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self, path: bytes, headers: Headers = ()) -> int:
        """Opens a stream for a call and returns its number."""
        stream = self._http.get_next_available_stream_id()
        fixed = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"localhost")]
        self._http.send_headers(
            stream, [*fixed, (b"content-type", b"application/grpc"), (b"te", b"trailers"), *headers]
        )
        self._flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = True) -> None:
        """Sends data in frames, as far as the server's windows allow."""
        self._http.send_data(stream, data, end_stream=end)
        self._flush()

    def ping(self, count: int) -> None:
        """Sends PING frames at once."""
        for number in range(count):
            self._http.ping(struct.pack(">Q", number))
        self._flush()

    def read_statuses(self, streams: Sequence[int]) -> Mapping[int, Mapping[bytes, bytes]]:
        """Waits until each of these streams has ended, and returns their trailers."""
        self._read_until(lambda: set(streams) <= set(self.ended))
        return {stream: self.ended[stream] for stream in streams}

    def wait_for_ends(self, count: int) -> None:
        """Waits until `count` streams have ended."""
        self._read_until(lambda: len(self.ended) >= count)

    def wait_for_close(self) -> None:
        """Waits until the server closes the connection. Acknowledges nothing."""
        while self._socket.recv(65_536):
            pass

    def open_window(self, stream: int, size: int) -> None:
        """Lets the server send `size` more bytes on a stream."""
        self._http.increment_flow_control_window(size, stream)
        self._flush()

    def wait_for_headers(self, stream: int) -> None:
        """Waits for the first headers of a stream."""
        self._read_until(lambda: stream in self._begun)

    def _read_until(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionError("the server closed the connection")
            for event in self._http.receive_data(data):
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self._note(event)
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._http.data_to_send())

    def _note(self, event: Any) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self._begun.add(event.stream_id)
        if isinstance(event, (h2.events.TrailersReceived, h2.events.ResponseReceived)):
            headers = dict(event.headers)
            if b"grpc-status" in headers:
                self.ended[event.stream_id] = headers
        elif isinstance(event, h2.events.StreamReset):
            self.ended.setdefault(event.stream_id, {b"reset": str(event.error_code).encode()})
