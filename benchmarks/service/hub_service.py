"""A model of OPUS-MT's size through the service, beside CTranslate2 by itself: `python -m benchmarks.service.hub_service`.

Random weights, greedy, outputs of a forced length, one gRPC call with all texts, against the best that
`translate_batch` does with the same threads over several sizes of batches; in turns. No token comes twice and none
holds a figure, else the service would have another try with every text, and what is compared would be another thing:
it is an error here if it had. Tokenization, scores, the checks of the output and one step more (whether a text would
have ended there) are part of ours and none of CTranslate2's; what it does with scores and that step is told too.
Exits 1 below nine tenths of its best without.
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
_SIZE = 32  # of the service's batches
# What the service asks for besides: scores, and whether an output ends at the cap.
_OURS: Mapping[str, Any] = {"return_scores": True, "max_decoding_length": _TOKENS + 1}
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
    """Lines of words that the vocabulary has."""
    draw = random.Random(7)
    return [" ".join(spell(draw.randrange(2_000)) for _ in range(_WORDS)) for _ in range(_TEXTS)]


def time_library(
    translator: Any,  # noqa: ANN401
    rows: list[list[str]],
    size: int,
    besides: Mapping[str, Any] = MappingProxyType({}),
) -> float:
    """Seconds of all rows."""
    keys = {
        "beam_size": 1,
        "max_batch_size": size,
        "min_decoding_length": _TOKENS,
        "max_decoding_length": _TOKENS,
        "max_input_length": 0,
        "no_repeat_ngram_size": 1,
    }
    started = time.perf_counter()
    translator.translate_batch(rows, **{**keys, **besides})
    return time.perf_counter() - started


async def time_service(stub: Any, texts: list[str]) -> tuple[float, int]:  # noqa: ANN401
    """Seconds of one call with all texts, and the tokens that the model wrote."""
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
        raise RuntimeError(f"the service had {tokens} tokens written instead of {len(texts) * _TOKENS}")
    return seconds, tokens


async def compare(folder: Path, rounds: int) -> tuple[dict[int, list[float]], list[float], list[float]]:
    """Tokens a second of the library by its size of batches, of the library with all that the service asks it for,
    and of the service."""
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
    made = next(path for path in (folder / "store").rglob("model.bin")).parent
    cores = available_cores()
    translator = ctranslate2.Translator(str(made), compute_type="int8", inter_threads=cores, intra_threads=1)
    library: dict[int, list[float]] = {size: [] for size in _SIZES}
    asked: list[float] = []
    service: list[float] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = translation_pb2_grpc.TranslationServiceStub(channel)
        for number in range(rounds + 1):
            for size in _SIZES:
                seconds = await asyncio.to_thread(time_library, translator, rows, size)
                if number:
                    library[size].append(_TEXTS * _TOKENS / seconds)
            seconds = await asyncio.to_thread(time_library, translator, rows, _SIZE, _OURS)
            if number:
                asked.append(_TEXTS * _TOKENS / seconds)
            seconds, tokens = await time_service(stub, texts)
            if number:
                service.append(tokens / seconds)
    await server.drain(1)
    return library, asked, service


def main(rounds: int) -> None:
    """Prints the table."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        write_checkpoint(folder / "model")
        library, asked, service = asyncio.run(compare(folder, rounds))
    table = Table("who", "tokens/s, median", "worst to best", box=None)
    for size, speeds in library.items():
        told = f"{min(speeds):.0f} to {max(speeds):.0f}"
        table.add_row(f"translate_batch, batches of {size}", f"{statistics.median(speeds):.0f}", told)
    told = f"{min(asked):.0f} to {max(asked):.0f}"
    table.add_row(f"batches of {_SIZE}, asked for as much", f"{statistics.median(asked):.0f}", told)
    ours = statistics.median(service)
    table.add_row("through the service", f"{ours:.0f}", f"{min(service):.0f} to {max(service):.0f}")
    ratio = ours / max(map(statistics.median, library.values()))
    Console().print(table)
    Console().print(f"the service makes {ratio:.3f} of the best (at least {_LEAST})")
    Console().print(f"and {ours / statistics.median(asked):.3f} of what the library does with the same asked of it")
    sys.exit(ratio < _LEAST)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
