"""Compares `backend = "auto"` with the transformers backend on a model of OPUS-MT's size with random weights.

    python -m benchmarks.micro.hub_backends [rounds]

The model has 6+6 layers, dimension 512 and 58,101 tokens; decoding uses beam 4, batches of 16 and outputs of a forced
length. The backends take turns. Prints output tokens a second and their ratio.
"""

from __future__ import annotations

import json
import logging
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from rich.console import Console
from rich.table import Table
from sentencepiece import sentencepiece_model_pb2

from latimer_server.backends.protocol import GeneratorBackend, LoadRequest
from latimer_server.backends.registry import load_backend
from latimer_server.config.resource_limits import available_cores
from latimer_server.core.decoding import DecodingOptions, LanguagePair, TokenIds

_VOCABULARY = 58_101
_ROWS = 16
_SOURCE_WORDS = 25
_OUTPUT_TOKENS = 32
_LETTERS = str.maketrans("0123456789", "abcdefghij")
_OTHER_LETTERS = "abcdefghij", "klmnopqrst"


def spell(number: int) -> str:
    """Returns a word for a number. It has no digits, because the server checks numbers."""
    return "w" + str(number).translate(_LETTERS)


def invent(number: int) -> str:
    """Returns a vocabulary entry for a number, which no source contains.

    The outputs of random weights consist of such entries. They have no digits and no repeated letters, because the
    server would take those for an error of the model and decode the text again.
    """
    return "\u2581x" + "".join(_OTHER_LETTERS[place % 2][int(figure)] for place, figure in enumerate(str(number)))


def write_checkpoint(folder: Path) -> None:
    """Writes a MarianMT checkpoint in the hub's layout whose outputs have `_OUTPUT_TOKENS` tokens."""
    words = [spell(index) for index in range(2_000)]
    text = folder / "text.txt"
    text.write_text("\n".join(" ".join(random.Random(i).choices(words, k=20)) for i in range(2_000)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "source"), vocab_size=1_000, minloglevel=2
    )
    text.unlink()
    (folder / "source.model").rename(folder / "source.spm")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    names = ["</s>", "<unk>", *(pieces.IdToPiece(i) for i in range(3, pieces.GetPieceSize()))]
    invented = [invent(index) for index in range(_VOCABULARY - 1 - len(names))]
    names += invented
    target: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    target.ParseFromString((folder / "source.spm").read_bytes())
    for name in invented:  # each entry begins a word, as most entries of a real model do
        target.pieces.add(piece=name, score=-99.0)
    (folder / "target.spm").write_bytes(target.SerializeToString())
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate([*names, "<pad>"])}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MarianTokenizer"}))
    torch.manual_seed(1)
    config = transformers.MarianConfig(
        vocab_size=_VOCABULARY,
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2_048,
        decoder_ffn_dim=2_048,
        activation_function="swish",
        scale_embedding=True,
        max_position_embeddings=512,
        pad_token_id=_VOCABULARY - 1,
        eos_token_id=0,
        decoder_start_token_id=_VOCABULARY - 1,
        forced_eos_token_id=None,
    )
    model: Any = transformers.MarianMTModel(config)
    with torch.no_grad():
        model.get_input_embeddings().weight[-1] = 0
    model.generation_config.update(
        num_beams=4, min_length=_OUTPUT_TOKENS, max_length=512, bad_words_ids=[[_VOCABULARY - 1]]
    )
    model.save_pretrained(folder)


def load(folder: Path, backend: str) -> GeneratorBackend:
    """Loads the checkpoint with one backend and all cores."""
    loaded: Any = load_backend(
        LoadRequest(
            name="opus-mt-size",
            backend=backend,
            task="translation",
            folder=folder,
            cache=folder / "made",
            threads=available_cores(),
        )
    )
    return loaded  # type: ignore[no-any-return]


def measure(backend: GeneratorBackend, texts: list[str]) -> tuple[float, int]:
    """Returns the seconds and output tokens of a batch. The batch is divided into as many parts as the backend computes
    at the same time."""
    rows = [encoding.ids for encoding in backend.encode(texts, LanguagePair())]
    options = DecodingOptions(beam_size=4, max_output_tokens=_OUTPUT_TOKENS)
    batches = backend.limits.concurrent_batches
    with ThreadPoolExecutor(batches) as threads:
        started = time.perf_counter()
        parts = threads.map(lambda part: backend.run(part, options, lambda: False), divide(rows, batches))
        written = sum(len(hypothesis.ids) for part in parts for hypothesis in part)
        return time.perf_counter() - started, written


def divide(rows: Sequence[TokenIds], batches: int) -> list[Sequence[TokenIds]]:
    """Divides the rows into about equal parts, as the queue divides the rows of a single request."""
    size = math.ceil(len(rows) / batches)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def main(rounds: int) -> None:
    """Prints the table."""
    logging.disable(logging.WARNING)
    draw = random.Random(7)
    texts = [" ".join(spell(draw.randrange(2_000)) for _ in range(_SOURCE_WORDS)) for _ in range(_ROWS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(folder)
        backends = {kind: load(folder, kind) for kind in ("auto", "transformers")}
        speeds: dict[str, list[float]] = {kind: [] for kind in backends}
        lengths: dict[str, set[int]] = {kind: set() for kind in backends}
        for number in range(rounds + 1):
            for kind, backend in backends.items():
                seconds, tokens = measure(backend, texts)
                lengths[kind].add(tokens)
                if number:  # the first round warms up
                    speeds[kind].append(tokens / seconds)
        table = Table("backend", "compute type", "tokens a batch", "tokens/s, median", "least to greatest", box=None)
        for kind, values in speeds.items():
            spread = f"{min(values):.0f} to {max(values):.0f}"
            sizes = "/".join(map(str, sorted(lengths[kind])))
            table.add_row(kind, backends[kind].compute_type, sizes, f"{statistics.median(values):.0f}", spread)
        ratios = [fast / slow for fast, slow in zip(speeds["auto"], speeds["transformers"], strict=True)]
        Console().print(table)
        spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
        Console().print(f"auto is {statistics.median(ratios):.1f} times as fast ({spread}, {rounds} rounds)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
