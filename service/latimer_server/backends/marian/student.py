"""The backend of Marian students, such as the models of Firefox Translations.

Loads a student's files, converts text to token ids and back, and runs a search. It uses the network through a
`Searcher` only. These models were distilled for greedy search, which is the default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import sentencepiece

from latimer_server.backends.devices import choose_device
from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.engine import END, UNKNOWN, Engine
from latimer_server.backends.marian.engine_search import EngineSearcher, Searcher
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_engine import NativeStudent
from latimer_server.backends.marian.native_library import choose_instruction_set
from latimer_server.backends.marian.native_weights import supports_model
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.backends.protocol import Encoding, LoadRequest
from latimer_server.backends.token_spans import locate_pieces, place_pieces
from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds
from latimer_server.core.errors import ModelError, ModelFileError

_ANY = LanguagePair()
# These models were trained with sentences of up to 128 tokens, as Firefox wraps them. The catalogue may set a lower
# limit.
_MAX_INPUT_TOKENS = 128
_MIN_INPUT_TOKENS = 8
# Larger batches are no faster: the union of the rows' candidates grows by more than a row saves.
_MAX_BATCH_ROWS = 32
# Allows rows of any length: sources are encoded in groups of similar length, so that padding costs little.
_MAX_BATCH_TOKENS = _MAX_BATCH_ROWS * _MAX_INPUT_TOKENS


def load(request: LoadRequest) -> MarianStudent:
    """Loads the student of the request. See `load_student`; the device `auto` becomes `cpu` or `cuda`."""
    device = choose_device(request.device)
    files = dict(request.files)
    if request.vocabulary == "full":
        files.pop("shortlist", None)
    return load_student(files, request.threads, request.max_input_tokens, device, request.compute_type)


def load_student(
    files: Mapping[str, Path],
    threads: int,
    max_input_tokens: int = 0,
    device: str = "cpu",
    compute_type: str = "",
) -> MarianStudent:
    """Loads a student from `model`, `vocabulary` (or `source_vocabulary` and `target_vocabulary`) and, optionally,
    `shortlist`.

    On the CPU up to `threads` batches run at the same time, each on one core. A `max_input_tokens` of 0 means the
    maximum, 128. `compute_type` is `int8` or `float32`. By default it is int8 on the CPU if the file has activation
    multipliers, and float32 otherwise.

    Raises `ModelFileError` naming a bad file, and `ModelError` if the compute type is not available.
    """
    model_path = files["model"]
    source = MarianFile(_read_file(model_path), model_path.name)
    shape = read_architecture(source.config, model_path.name)
    source_path, target_path = _vocabulary_paths(files, shared=shape.shared)
    source_pieces = _read_vocabulary(source_path, shape.source_vocabulary)
    target_pieces = source_pieces
    if target_path != source_path:
        target_pieces = _read_vocabulary(target_path, shape.target_vocabulary)
    shortlist = None
    if "shortlist" in files:
        path = files["shortlist"]
        sizes = shape.source_vocabulary, shape.target_vocabulary
        shortlist = Shortlist(_read_file(path), *sizes, path.name, shared=shape.shared)

    searcher: Searcher
    instructions = choose_instruction_set()
    if device == "cpu" and compute_type in ("", "int8") and instructions and supports_model(source, shape):
        searcher = NativeStudent(source, shape, shortlist, instructions)
    else:
        engine = _start_engine(source, model_path.name, device, compute_type)
        if compute_type not in ("", engine.compute_type):
            raise ModelError(
                f"compute_type {compute_type!r} is not available on {device}: this model computes in "
                f"{engine.compute_type}"
            )
        searcher = EngineSearcher(engine, shortlist)
    batches = threads if device == "cpu" else 1
    return MarianStudent(searcher, source_pieces, target_pieces, max_input_tokens, batches)


def _start_engine(source: MarianFile, file: str, device: str, compute_type: str) -> Engine:
    """Returns a new engine for `device` with the weights of `source`. Imports the library of that engine only."""
    if device == "cpu":
        from latimer_server.backends.marian.onnx_engine import OnnxEngine, choose_quantization_levels

        return OnnxEngine(source, file, None if compute_type == "float32" else choose_quantization_levels())
    from latimer_server.backends.marian.torch_engine import TorchEngine

    return TorchEngine(source, file, device)


def _vocabulary_paths(files: Mapping[str, Path], *, shared: bool) -> tuple[Path, Path]:
    """Returns the paths of the source's and the target's vocabulary. A model with `shared` embeddings has one for both.

    Raises `ModelFileError` naming the model file if `files` of the catalogue entry lacks them.
    """
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


def _read_file(path: Path) -> bytes:
    """Returns the content of a file. Raises `ModelFileError` naming it if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(path.name, f"cannot be read: {error.strerror}") from error


def _read_vocabulary(path: Path, size: int) -> sentencepiece.SentencePieceProcessor:
    vocabulary = sentencepiece.SentencePieceProcessor()
    try:
        vocabulary.LoadFromSerializedProto(_read_file(path))
    except RuntimeError as error:
        raise ModelFileError(path.name, "is not a SentencePiece model") from error
    if vocabulary.GetPieceSize() != size:
        raise ModelFileError(
            path.name, f"has {vocabulary.GetPieceSize()} pieces, the model {size}: they do not belong together"
        )
    ids = list(range(size))
    try:
        vocabulary.IdToPiece(ids)
    except UnicodeDecodeError as error:
        raise ModelFileError(path.name, "has a piece that is not UTF-8") from error
    if not all(map(math.isfinite, vocabulary.GetScore(ids))):
        raise ModelFileError(path.name, "has a piece whose score is not a number")
    if vocabulary.eos_id() != END or vocabulary.unk_id() != UNKNOWN:
        raise ModelFileError(path.name, f"does not have </s> and <unk> as ids {END} and {UNKNOWN}")
    return vocabulary


class MarianStudent:
    """The `GeneratorBackend` of a loaded student. `source` and `target` are its vocabularies."""

    name = "marian_student"

    def __init__(
        self,
        searcher: Searcher,
        source: sentencepiece.SentencePieceProcessor,
        target: sentencepiece.SentencePieceProcessor,
        max_input_tokens: int = 0,
        concurrent_batches: int = 1,
    ) -> None:
        longest = max(_MIN_INPUT_TOKENS, min(max_input_tokens or _MAX_INPUT_TOKENS, _MAX_INPUT_TOKENS))
        self.limits = BatchLimits(longest, _MAX_BATCH_TOKENS, _MAX_BATCH_ROWS, concurrent_batches=concurrent_batches)
        self.compute_type = searcher.compute_type
        self.memory_bytes = searcher.memory_bytes
        self.searcher = searcher
        self._source = source
        self._target = target

    def encode(self, texts: Sequence[str], languages: LanguagePair = _ANY) -> list[Encoding]:  # noqa: ARG002
        """See `GeneratorBackend.encode`. Adds </s>: a source without it at its end gets a bad translation."""
        # Encodes one text at a time. For a list the library starts threads and releases the interpreter lock, and
        # while batches run it takes milliseconds to get the lock back.
        rows: list[list[int]] = [self._source.encode(text, out_type=int) for text in texts]
        return [Encoding((*ids, END), ids.count(UNKNOWN)) for ids in rows]

    def word_score(self, word: str) -> float | None:
        """See `GeneratorBackend.word_score`."""
        ids: list[int] = self._source.encode(word, out_type=int)
        return float(sum(self._source.GetScore(ids))) if ids else 0.0

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

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        """See `GeneratorBackend.decode_spans`."""
        return place_pieces(self._target, ids)

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """See `GeneratorBackend.run`. The candidates of a row are independent of its batch."""
        return self.searcher.search(batch, options, cancelled) if batch else []
