"""The backend for Marian students (Firefox Translations): files to tokens, a search, text.

Knows the network only through an `Engine`, and nothing of requests. These models were distilled
for greedy search, so that is what it does unless it is told otherwise (facts.md section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import sentencepiece

from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.beam import BeamSearch
from latimer_server.backends.marian.engine import END, UNKNOWN, Engine
from latimer_server.backends.marian.greedy import GreedySearch
from latimer_server.backends.marian.lazy_engine import LazyEngine, OpenFile
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent, detect_instruction_set, supports_model
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.backends.protocol import Encoding
from latimer_server.backends.token_spans import find_unknown_pieces, locate_pieces, place_pieces
from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds
from latimer_server.core.errors import ModelError, ModelFileError

_ANY = LanguagePair()
# Firefox wraps sentences at 128 tokens, and so were these models trained: the catalogue may name fewer.
_MAX_INPUT_TOKENS = 128
_MIN_INPUT_TOKENS = 8
# Larger batches gain nothing: the union of the rows' candidates outgrows what a row saves.
_MAX_BATCH_ROWS = 32
# The longest rows there can be: sources are read in groups of about one length, so that padding costs little.
_MAX_BATCH_TOKENS = _MAX_BATCH_ROWS * _MAX_INPUT_TOKENS


def load_student(
    files: Mapping[str, Path],
    threads: int,
    max_input_tokens: int = 0,
    device: str = "cpu",
    compute_type: str = "",
) -> MarianStudent:
    """Reads `model`, `vocabulary` (or `source_vocabulary` and `target_vocabulary`) and, where there is one,
    `shortlist`. On the CPU as many batches as there are `threads` run at a time, each on one core.
    `max_input_tokens`: 0 is the most that there can be. `compute_type`: `int8` or `float32`; "" is int8 on the CPU
    where the file has what that needs, and float32 elsewhere.

    Raises `ModelFileError` naming the file at fault, `ModelError` where that compute type cannot be had.
    """
    model_path = files["model"]
    held = OpenFile(model_path)
    data = held.read()
    source = MarianFile(data, model_path.name)
    shape = read_architecture(source.config, model_path.name)
    source_path, target_path = _vocabulary_paths(files, shared=shape.shared)
    reads = _read_vocabulary(source_path, shape.source_vocabulary)
    writes = reads if target_path == source_path else _read_vocabulary(target_path, shape.target_vocabulary)
    shortlist = None
    if "shortlist" in files:
        path = files["shortlist"]
        sizes = shape.source_vocabulary, shape.target_vocabulary
        shortlist = Shortlist(OpenFile(path).read(), *sizes, path.name, shared=shape.shared)

    def start(read: bytes) -> Engine:
        return _start_engine(MarianFile(read, model_path.name), model_path.name, device, compute_type)

    engine: Engine
    native, instructions = None, detect_instruction_set()
    if device == "cpu" and compute_type in ("", "int8") and instructions and supports_model(source, shape):
        native = NativeStudent(source, shape, shortlist, instructions)
        engine = LazyEngine(held, data, shape, start)
    else:
        engine = start(data)
    if compute_type not in ("", engine.compute_type):
        raise ModelError(
            f"compute_type {compute_type!r} cannot be had on {device}: this model computes in {engine.compute_type}"
        )
    batches = threads if device == "cpu" else 1
    return MarianStudent(engine, reads, writes, shortlist, max_input_tokens, batches, native)


def _start_engine(source: MarianFile, file: str, device: str, compute_type: str) -> Engine:
    """What computes a model on a device. Each library is imported only where it is needed."""
    if device == "cpu":
        from latimer_server.backends.marian.onnx_engine import OnnxEngine, choose_quantization_levels

        return OnnxEngine(source, file, None if compute_type == "float32" else choose_quantization_levels())
    from latimer_server.backends.marian.torch_engine import TorchEngine

    return TorchEngine(source, file, device)


def _vocabulary_paths(files: Mapping[str, Path], *, shared: bool) -> tuple[Path, Path]:
    """Where the source's and the target's vocabulary are. A model whose embeddings are shared has one."""
    model = files["model"].name
    if shared:
        if "vocabulary" not in files:
            raise ModelFileError(model, "has one vocabulary for both languages; its files must name `vocabulary`")
        return files["vocabulary"], files["vocabulary"]
    if "source_vocabulary" not in files or "target_vocabulary" not in files:
        raise ModelFileError(
            model,
            "has a vocabulary for each language; its files must name `source_vocabulary` and `target_vocabulary`",
        )
    return files["source_vocabulary"], files["target_vocabulary"]


def _read_vocabulary(path: Path, size: int) -> sentencepiece.SentencePieceProcessor:
    vocabulary = sentencepiece.SentencePieceProcessor()
    try:
        vocabulary.LoadFromSerializedProto(OpenFile(path).read())
    except (RuntimeError, OSError) as error:
        raise ModelFileError(path.name, "is no SentencePiece model") from error
    if vocabulary.GetPieceSize() != size:
        raise ModelFileError(
            path.name, f"has {vocabulary.GetPieceSize()} pieces, the model {size}: they do not belong together"
        )
    if vocabulary.eos_id() != END or vocabulary.unk_id() != UNKNOWN:
        raise ModelFileError(path.name, f"has </s> and <unk> elsewhere than at {END} and {UNKNOWN}")
    return vocabulary


class MarianStudent:
    """A loaded student; a `GeneratorBackend`."""

    name = "marian_student"

    def __init__(
        self,
        engine: Engine,
        source: sentencepiece.SentencePieceProcessor,
        target: sentencepiece.SentencePieceProcessor,
        shortlist: Shortlist | None,
        max_input_tokens: int = 0,
        concurrent_batches: int = 1,
        native: NativeStudent | None = None,
    ) -> None:
        longest = max(_MIN_INPUT_TOKENS, min(max_input_tokens or _MAX_INPUT_TOKENS, _MAX_INPUT_TOKENS))
        self.limits = BatchLimits(longest, _MAX_BATCH_TOKENS, _MAX_BATCH_ROWS, concurrent_batches=concurrent_batches)
        self.compute_type = engine.compute_type
        self._engine = engine
        self._source = source
        self._target = target
        self._shortlist = shortlist
        self._native = native
        self.memory_bytes = engine.memory_bytes + (native.memory_bytes if native else 0)

    def encode(self, texts: Sequence[str], languages: LanguagePair = _ANY) -> list[Encoding]:  # noqa: ARG002
        """See `GeneratorBackend.encode`. Without </s> at its end a source is translated badly."""
        # One at a time: for a list the library starts threads and lets the interpreter go, and while batches run it is
        # milliseconds until it comes back.
        rows: list[list[int]] = [self._source.encode(text, out_type=int) for text in texts]
        return [Encoding((*ids, END), ids.count(UNKNOWN)) for ids in rows]

    def token_starts(self, text: str) -> list[int]:
        """See `GeneratorBackend.token_starts`."""
        mapping = self._source.encode(text, return_type="offset_mapping")
        return [start for start, _ in mapping["offsets"]]

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """See `GeneratorBackend.decode`."""
        return [self._target.decode(list(row)) for row in ids]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """See `GeneratorBackend.token_spans`."""
        return locate_pieces(self._source, text)

    def find_unknown(self, text: str) -> list[tuple[int, int]]:
        """See `GeneratorBackend.find_unknown`."""
        return find_unknown_pieces(self._source, text, lambda _, index: index == UNKNOWN)

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        """See `GeneratorBackend.decode_spans`."""
        return place_pieces(self._target, ids)

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """See `GeneratorBackend.run`. A row's candidates are its own shortlist, whatever its batch."""
        if not batch:
            return []
        if self._native and _is_greedy(options):
            return self._native.search(batch, options, cancelled)
        search = GreedySearch if _is_greedy(options) else BeamSearch
        # Shortest first: sources are read in groups of about one length, which then lie as they are needed.
        order = sorted(range(len(batch)), key=lambda row: len(batch[row]))
        found = search(self._engine, self._shortlist, [batch[row] for row in order], options).run(cancelled)
        return [hypothesis for _, hypothesis in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]


def _is_greedy(options: DecodingOptions) -> bool:
    """Whether nothing is asked for that the plain, faster search does not do."""
    return (
        options.beam_size in (None, 1)
        and options.hypothesis_count == 1
        and options.repetition_penalty in (None, 1.0)
        and not options.no_repeat_ngram_size
    )
