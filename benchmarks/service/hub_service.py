"""Compares a model of OPUS-MT's size through the server with CTranslate2 alone.

    python -m benchmarks.service.hub_service [rounds]

The model has random weights; decoding is greedy with outputs of a forced length. One gRPC call with all texts is
compared with the best `translate_batch` over several batch sizes, with the same threads and in turns. No token occurs
twice in an output and none contains digits. Otherwise the server would repair and decode every text again; that is an
error here. The server also tokenizes, computes scores, checks the output and decodes one step more (to see if the text
would have ended there). CTranslate2 is measured without this work, and once with scores and the extra step. Exits with
1 if the server is slower than nine tenths of the best of CTranslate2 without this work.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ctranslate2
import grpc
import sentencepiece
from rich.console import Console
from rich.table import Table

from benchmarks.micro.hub_backends import spell, write_checkpoint
from latimer.v1 import translation_pb2, translation_pb2_grpc, types_pb2
from latimer_server.config.resource_limits import available_cores
from latimer_server.config.settings import Settings
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.rpc.server import build_server

_TEXTS = 192
_WORDS = 25
_TOKENS = 32
_SIZES = (16, 32, 64)
_SIZE = 32  # rows of the server's batches
# Options that the server adds: scores, and one more step to see whether an output ends at its cap.
_SERVER_OPTIONS: Mapping[str, Any] = {"return_scores": True, "max_decoding_length": _TOKENS + 1}
_LEAST = 0.9
_CATALOG = """
[models.opus-mt-size]
task = "translation"
family = "marian"
backend = "ctranslate2"
source_languages = ["en"]
target_languages = ["pt"]
source = "dir:{folder}"
license = "none"
"""


def write_texts() -> list[str]:
    """Returns texts of words that are in the vocabulary."""
    draw = random.Random(7)
    return [" ".join(spell(draw.randrange(2_000)) for _ in range(_WORDS)) for _ in range(_TEXTS)]


def time_library(
    translator: Any,  # noqa: ANN401
    rows: list[list[str]],
    size: int,
    more_options: Mapping[str, Any] = MappingProxyType({}),
) -> float:
    """Returns the seconds of all rows in batches of `size` rows."""
    keys = {
        "beam_size": 1,
        "max_batch_size": size,
        "min_decoding_length": _TOKENS,
        "max_decoding_length": _TOKENS,
        "max_input_length": 0,
        "no_repeat_ngram_size": 1,
    }
    started = time.perf_counter()
    translator.translate_batch(rows, **{**keys, **more_options})
    return time.perf_counter() - started


async def time_service(stub: Any, texts: list[str]) -> tuple[float, int]:  # noqa: ANN401
    """Returns the seconds of one call with all texts, and its output tokens."""
    options = translation_pb2.TranslateOptions(
        decoding=types_pb2.DecodingOptions(beam_size=1, max_output_tokens=_TOKENS, no_repeat_ngram_size=1),
        disable_builtin_protection=True,
        disable_cache=True,
    )
    request = translation_pb2.TranslateTextRequest(
        contents=texts, source_language_code="en", target_language_codes=["pt"], options=options
    )
    started = time.perf_counter()
    response = await stub.TranslateText(request)
    seconds, tokens = time.perf_counter() - started, response.usage.output_tokens
    if tokens != len(texts) * _TOKENS:
        raise RuntimeError(f"the server decoded {tokens} tokens instead of {len(texts) * _TOKENS}: it retried texts")
    return seconds, tokens


async def compare(folder: Path, rounds: int) -> tuple[dict[int, list[float]], list[float], list[float]]:
    """Returns tokens a second in each round: of the library by batch size, of the library with the options of the
    server, and of the server."""
    catalog = folder / "catalog.toml"
    model = folder / "model"
    catalog.write_text(_CATALOG.format(folder=model), "utf-8")
    settings = Settings(
        listen="127.0.0.1:0", store=folder / "store", catalog=catalog, models=("opus-mt-size",), log_level="ERROR"
    )
    server = await build_server(settings, catalog=load_catalog(catalog))
    await server.start()
    await server.preload()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model / "source.spm"))
    texts = write_texts()
    rows = [[*pieces.encode(text, out_type=str), "</s>"] for text in texts]
    converted = next(path for path in (folder / "store").rglob("model.bin")).parent
    cores = available_cores()
    translator = ctranslate2.Translator(str(converted), compute_type="int8", inter_threads=cores, intra_threads=1)
    library: dict[int, list[float]] = {size: [] for size in _SIZES}
    same_options: list[float] = []
    service: list[float] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        for number in range(rounds + 1):
            for size in _SIZES:
                seconds = await asyncio.to_thread(time_library, translator, rows, size)
                if number:
                    library[size].append(_TEXTS * _TOKENS / seconds)
            seconds = await asyncio.to_thread(time_library, translator, rows, _SIZE, _SERVER_OPTIONS)
            if number:
                same_options.append(_TEXTS * _TOKENS / seconds)
            seconds, tokens = await time_service(stub, texts)
            if number:
                service.append(tokens / seconds)
    await server.drain(1)
    return library, same_options, service


def main(rounds: int) -> None:
    """Prints the table."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        write_checkpoint(folder / "model")
        library, same_options, service = asyncio.run(compare(folder, rounds))
    ways = {f"translate_batch, batches of {size}": speeds for size, speeds in library.items()}
    ways |= {f"batches of {_SIZE}, with the server's options": same_options, "through the server": service}
    table = Table("way", "tokens/s, median", "least to greatest", box=None)
    for name, speeds in ways.items():
        table.add_row(name, f"{statistics.median(speeds):.0f}", f"{min(speeds):.0f} to {max(speeds):.0f}")
    ours = statistics.median(service)
    ratio = ours / max(map(statistics.median, library.values()))
    Console().print(table)
    Console().print(f"the server reaches {ratio:.3f} of the best (at least {_LEAST})")
    Console().print(f"and {ours / statistics.median(same_options):.3f} of the library with the server's options")
    sys.exit(ratio < _LEAST)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
