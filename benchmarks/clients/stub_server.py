"""A server of the contract without models, for what the client alone costs, and for tests of it.

    python -m benchmarks.clients.stub_server [--port PORT] [--die-after TEXTS]

Prints its port. A translation is the source with its words in reverse order, so that a unit in a wrong place is seen.
A text with `<fail>` gets an error, one with `<copy>` the flag COPIED_SOURCE and the note CACHED. With --die-after the
process kills itself (SIGKILL) in the middle of a stream, after so many texts.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.rpc import code_pb2

from latimer.v1 import summarization_pb2, translation_pb2, types_pb2

_THREADS = 64


def translate(text: str) -> str:
    """Returns the stub's translation of a text."""
    return " ".join(reversed(text.split(" ")))


class StubServer:
    """A stub on a free port, or on `port`. `on_texts`: called with the number of texts of each message before they are
    answered. `texts`: the texts that were translated. A context manager."""

    def __init__(self, port: int = 0, on_texts: Callable[[int], None] | None = None) -> None:
        self.texts = 0
        self._on_texts = on_texts
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=[("grpc.so_reuseport", 0)])
        translation: dict[str, Any] = {
            "StreamTranslateText": grpc.stream_stream_rpc_method_handler(
                self._stream,
                translation_pb2.StreamTranslateTextRequest.FromString,
                translation_pb2.StreamTranslateTextResponse.SerializeToString,
            ),
            "TranslateText": grpc.unary_unary_rpc_method_handler(
                self._translate,
                translation_pb2.TranslateTextRequest.FromString,
                translation_pb2.TranslateTextResponse.SerializeToString,
            ),
            "DetectLanguage": grpc.unary_unary_rpc_method_handler(
                _detect,
                translation_pb2.DetectLanguageRequest.FromString,
                translation_pb2.DetectLanguageResponse.SerializeToString,
            ),
        }
        summarization: dict[str, Any] = {
            "SummarizeText": grpc.unary_unary_rpc_method_handler(
                self._summarize,
                summarization_pb2.SummarizeTextRequest.FromString,
                summarization_pb2.SummarizeTextResponse.SerializeToString,
            )
        }
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("latimer.v1.TranslationService", translation),
                grpc.method_handlers_generic_handler("latimer.v1.SummarizationService", summarization),
            )
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> StubServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def wait(self) -> None:
        """Serves until the process ends."""
        self._server.wait_for_termination()

    def _count(self, texts: int) -> None:
        self.texts += texts
        if self._on_texts is not None:
            self._on_texts(texts)

    def _stream(
        self, requests: Iterator[translation_pb2.StreamTranslateTextRequest], _context: grpc.ServicerContext
    ) -> Iterator[translation_pb2.StreamTranslateTextResponse]:
        target = ""
        for request in requests:
            if request.HasField("config"):
                (target,) = request.config.target_language_codes
            if not request.items:
                continue
            self._count(len(request.items))
            response = translation_pb2.StreamTranslateTextResponse()
            add = response.results.add
            for item in request.items:
                _fill(add(item_id=item.item_id).result, item.content, target)
            yield response

    def _translate(
        self, request: translation_pb2.TranslateTextRequest, _context: grpc.ServicerContext
    ) -> translation_pb2.TranslateTextResponse:
        self._count(len(request.contents))
        response = translation_pb2.TranslateTextResponse()
        for content in request.contents:
            result = response.results.add()
            for target in request.target_language_codes:
                _fill(result, content, target)
        return response

    def _summarize(
        self, request: summarization_pb2.SummarizeTextRequest, _context: grpc.ServicerContext
    ) -> summarization_pb2.SummarizeTextResponse:
        self._count(len(request.contents))
        response = summarization_pb2.SummarizeTextResponse()
        for content in request.contents:
            response.summaries.add(summary_text=content.partition("\n")[0], language_code="en", mode=1)
        return response


def _fill(result: translation_pb2.TranslationResult, text: str, target: str) -> None:
    translation = result.translations.add(target_language_code=target, avg_log_prob=-0.5)
    if "<fail>" in text:
        translation.error.code = code_pb2.INVALID_ARGUMENT
        translation.error.message = "this text fails"
        return
    translation.translated_text = translate(text)
    if "<copy>" in text:
        translation.flags.extend((types_pb2.FLAG_CACHED, types_pb2.FLAG_COPIED_SOURCE))


def _detect(
    request: translation_pb2.DetectLanguageRequest, _context: grpc.ServicerContext
) -> translation_pb2.DetectLanguageResponse:
    response = translation_pb2.DetectLanguageResponse()
    for _ in request.contents:
        response.detections.add(reliable=True).candidates.add(language_code="en", confidence=0.99)
    return response


def _die_after(texts: int) -> Callable[[int], None]:
    left = [texts]

    def count(more: int) -> None:
        left[0] -= more
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def main() -> None:
    """Serves until the process is killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--die-after", type=int)
    given = parser.parse_args()
    with StubServer(given.port, _die_after(given.die_after) if given.die_after else None) as server:
        print(server.port, flush=True)
        server.wait()


if __name__ == "__main__":
    main()
