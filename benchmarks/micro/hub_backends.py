"""`backend = "auto"` beside the transformers backend, on a model of OPUS-MT's size with random weights.

6+6 layers, d 512, 58,101 tokens, beam 4, batches of 16, outputs of a forced length; rounds take turns. Prints
output tokens a second and their ratio. `python -m benchmarks.micro.hub_backends [rounds]`.
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
    """A word for a number, without figures, which the service would check."""
    return "w" + str(number).translate(_LETTERS)


def invent(number: int) -> str:
    """A piece for a number, which no source has. Such are what random weights write: with figures in them, or letters
    over and over, the service would take it for a mistake of the model's and have the text done again."""
    return "\u2581x" + "".join(_OTHER_LETTERS[place % 2][int(figure)] for place, figure in enumerate(str(number)))


def write_checkpoint(folder: Path) -> None:
    """A MarianMT checkpoint in the hub's layout whose outputs have `_OUTPUT_TOKENS` tokens."""
    words = [spell(index) for index in range(2_000)]
    text = folder / "text.txt"
    text.write_text("\n".join(" ".join(random.Random(i).choices(words, k=20)) for i in range(2_000)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "source"), vocab_size=1_000, minloglevel=2
    )
    text.unlink()
    (folder / "source.model").rename(folder / "source.spm")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    known = [pieces.IdToPiece(i) for i in range(3, pieces.GetPieceSize())]
    names = ["</s>", "<unk>", *known]
    invented = [invent(index) for index in range(_VOCABULARY - 1 - len(names))]
    names += invented
    target: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    target.ParseFromString((folder / "source.spm").read_bytes())
    for name in invented:  # of words of their own, as a true model's are: an output is no single word
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
    """The checkpoint by one backend, with all cores."""
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
    """Seconds and output tokens of a batch, divided among as many as the backend runs at a time."""
    rows = [encoding.ids for encoding in backend.encode(texts, LanguagePair())]
    options = DecodingOptions(beam_size=4, max_output_tokens=_OUTPUT_TOKENS)
    batches = backend.limits.concurrent_batches
    with ThreadPoolExecutor(batches) as threads:
        started = time.perf_counter()
        parts = threads.map(lambda part: backend.run(part, options, lambda: False), divide(rows, batches))
        written = sum(len(hypothesis.ids) for part in parts for hypothesis in part)
        return time.perf_counter() - started, written


def divide(rows: Sequence[TokenIds], batches: int) -> list[Sequence[TokenIds]]:
    """The rows in about equal shares, as the queue divides those of a lone request."""
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
                if number:  # the first one warms up
                    speeds[kind].append(tokens / seconds)
        table = Table("backend", "computes in", "tokens a batch", "tokens/s, median", "worst to best", box=None)
        for kind, values in speeds.items():
            told = f"{min(values):.0f} to {max(values):.0f}"
            sizes = "/".join(map(str, sorted(lengths[kind])))
            table.add_row(kind, backends[kind].compute_type, sizes, f"{statistics.median(values):.0f}", told)
        ratios = [fast / slow for fast, slow in zip(speeds["auto"], speeds["transformers"], strict=True)]
        Console().print(table)
        spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
        Console().print(f"auto is {statistics.median(ratios):.1f} times as fast ({spread}, {rounds} rounds)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
