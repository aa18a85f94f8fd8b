"""Sends units in streams of StreamTranslateText.

`translate_many` is not used here: its result objects cost several times the work of a batch for each text.
Streams are bulk work, so interactive calls of other callers go first.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

import grpc

from latimer import _channel, _requests, _status
from latimer.batch.flags import select_warnings
from latimer.batch.results import Reading, SentUnit, UnitResult
from latimer.batch.sending import Flight, GroupQueue, Results, ServerAddress, find_fault, is_worth_another_try
from latimer.errors import LatimerError, ServerError
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import types_pb2

_METHOD = "/latimer.v1.TranslationService/StreamTranslateText"
# Units of one stream without a result: more than a server works on at once.
_MOST_IN_FLIGHT = 4_096
# gRPC waits up to two minutes before it connects again to a server that went away. A dead peer is noticed by pings,
# which servers accept every five minutes.
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


def open_channel(server: ServerAddress) -> grpc.Channel:
    """Opens a channel that connects again soon after its server went away."""
    options = (*_channel.OPTIONS, *_CHANNEL_OPTIONS)
    credentials = _channel.to_credentials(server.tls)
    if credentials is None:
        return grpc.insecure_channel(server.address, options=options)
    return grpc.secure_channel(server.address, credentials, options=options)


class StreamSender:
    """A `Sender` of translations. `streams`: the number of streams to each server for each way of reading texts.

    `options`: fields of the stream's config and of its TranslateOptions. Raises `InvalidArgumentError` for an unknown
    option.
    """

    def __init__(
        self,
        servers: Sequence[ServerAddress],
        *,
        target: str,
        source: str | None = None,
        options: Mapping[str, Any] | None = None,
        streams: int = 1,
    ) -> None:
        self.results: Results = SimpleQueue()
        self._target = target
        self._source = source
        self._options = dict(options or {})
        self._streams = streams
        self._servers = servers
        self._build_config(Reading("plain"))  # an unknown option is an error before the batch begins
        self._channels = [open_channel(server) for server in servers]
        self._queues: dict[Reading, GroupQueue] = {}
        self._workers: list[_Stream] = []

    def send(self, reading: Reading, units: Sequence[SentUnit]) -> None:
        """Queues a group of units, and opens the streams for their reading."""
        queue = self._queues.get(reading)
        if queue is None:
            queue = self._start_streams(reading)
        queue.put(units)

    def close(self) -> None:
        """Cancels calls in flight."""
        for queue in self._queues.values():
            queue.close()
        for worker in self._workers:
            worker.cancel()
        for channel in self._channels:
            channel.close()

    def lost_servers(self) -> list[str]:
        """Returns the addresses of servers whose last calls have failed, while others went on."""
        return sorted(
            {
                self._servers[number % len(self._servers)].address
                for queue in self._queues.values()
                for number in range(len(self._servers) * self._streams)
                if queue.is_lost(number)
            }
        )

    def _start_streams(self, reading: Reading) -> GroupQueue:
        queue = self._queues[reading] = GroupQueue(self.results, len(self._servers) * self._streams)
        config = self._build_config(reading)
        pairs = itertools.product(range(self._streams), zip(self._channels, self._servers, strict=True))
        for number, (_, (channel, server)) in enumerate(pairs):
            worker = _Stream(channel, _channel.to_metadata(server.token), config, queue, number)
            self._workers.append(worker)
            threading.Thread(target=worker.run, name="latimer-batch", daemon=True).start()
        return queue

    def _build_config(self, reading: Reading) -> pb.StreamTranslateTextConfig:
        options = {**self._options, "text_format": reading.form}
        if reading.syntaxes:
            options["syntaxes"] = sorted({*options.get("syntaxes", ()), *reading.syntaxes})
        return _requests.build_stream_config([self._target], self._source, options, ordered=False)


class _Stream:
    """A worker with one stream to one server, which it opens again when it breaks."""

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: _channel.Metadata,
        config: pb.StreamTranslateTextConfig,
        queue: GroupQueue,
        number: int,
    ) -> None:
        self._method = channel.stream_stream(
            _METHOD,
            request_serializer=pb.StreamTranslateTextRequest.SerializeToString,
            response_deserializer=pb.StreamTranslateTextResponse.FromString,
        )
        self._metadata = metadata
        self._config = config
        self._queue = queue
        self._number = number
        self._call: Any = None
        self._names: dict[tuple[int, ...], tuple[str, ...]] = {}  # of flags

    def run(self) -> None:
        """Opens streams while there is work."""
        try:
            while self._queue.wait():
                error = self._run_stream(Flight())
                if not self._queue.fail(self._number, error):
                    return
        except Exception as error:  # noqa: BLE001 (the batch would wait forever)
            self._queue.end(ServerError(f"the answer of the server cannot be read: {error!r}", code="INTERNAL"))

    def cancel(self) -> None:
        """Cancels the call in flight."""
        if self._call is not None:
            self._call.cancel()

    def _run_stream(self, flight: Flight) -> LatimerError:
        """Runs one stream. Returns the error that ended it."""
        try:
            self._call = self._method(self._requests(flight), metadata=self._metadata)
            if self._queue.is_closed:
                self._call.cancel()
            for response in self._call:
                self._queue.deliver(self._number, self._read(response, flight.units))
                self._queue.notify()
        except grpc.RpcError as error:
            return _status.convert_call_error(error)
        except ValueError:
            return _channel.closed_error()
        finally:
            self._queue.land(flight)
        return ServerError("the server ended the stream before all texts had results")

    def _requests(self, flight: Flight) -> Iterator[pb.StreamTranslateTextRequest]:
        """Yields the messages of one stream. gRPC iterates in its own thread."""
        yield pb.StreamTranslateTextRequest(config=self._config)
        while (units := self._queue.take(flight, _MOST_IN_FLIGHT)) is not None:
            request = pb.StreamTranslateTextRequest()
            add = request.items.add
            refused = []
            for unit in units:
                if fault := find_fault(unit[1]):
                    refused.append((unit[0], UnitResult(None, error=fault)))
                else:
                    add(item_id=str(unit[0]), content=unit[1])
            if refused:
                self._queue.refuse(flight, refused)
            yield request

    def _read(
        self, response: pb.StreamTranslateTextResponse, in_flight: dict[str, SentUnit]
    ) -> list[tuple[int, UnitResult]]:
        results = []
        again = []
        for result in response.results:
            unit = in_flight.pop(result.item_id, None)
            if unit is None:
                continue
            translation = result.result.translations[0]
            if translation.HasField("error"):
                error = _status.convert_status(translation.error)
                if is_worth_another_try(unit, error):
                    again.append(unit._replace(tries=unit.tries + 1))
                    continue
                results.append((unit[0], UnitResult(None, error=str(error))))
                continue
            flags = translation.flags
            names = self._name_flags(tuple(flags)) if flags else ()
            results.append((unit[0], UnitResult(translation.translated_text, names, translation.avg_log_prob)))
        if again:
            self._queue.try_again(again)
        return results

    def _name_flags(self, flags: tuple[int, ...]) -> tuple[str, ...]:
        """Returns the names of the warnings among flags. Few combinations occur, so each is built once."""
        names = self._names.get(flags)
        if names is None:
            known = types_pb2.Flag.values()
            names = self._names[flags] = select_warnings(
                types_pb2.Flag.Name(flag).removeprefix("FLAG_") if flag in known else str(flag)  # type: ignore[arg-type]
                for flag in flags
            )
        return names
