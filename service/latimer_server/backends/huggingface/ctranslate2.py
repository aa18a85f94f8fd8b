"""The backend that runs checkpoints of the hub with CTranslate2: int8 on the CPU, float16 on a GPU.

Source: CTranslate2's `Translator` and `Generator`. The library cannot stop inside a beam search, so that runs in parts
of about two seconds; greedy search can stop, at a price. Imports neither torch nor transformers; the conversion does,
in its own process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import ctranslate2

from latimer_server.backends.huggingface.batch_splitting import BatchSplitter, StepCostModel
from latimer_server.backends.huggingface.config import HubConfig, read_hub_config
from latimer_server.backends.huggingface.conversion import Converted, convert, is_converted
from latimer_server.backends.huggingface.conversion_worker import lacks_tokenizer
from latimer_server.backends.huggingface.generator import HubGenerator
from latimer_server.backends.huggingface.size_limits import check_sizes
from latimer_server.backends.huggingface.tokenization import Tokenization, load_tokenization
from latimer_server.backends.load_errors import naming_file
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import ModelError

_MAX_BATCH_ROWS = 32
_MAX_BATCH_TOKENS = 2_048
# A greedy search that may take longer than this polls for cancellation at every token. That costs 6 % of a batch's
# time: each call back into Python registers a thread of the library with the interpreter and removes it again.
_MAX_UNPOLLED_SECONDS = 4.0
# The default compute type on each device.
_DEVICE_TYPES = {"cpu": "int8", "cuda": "float16"}


class _Translated(Protocol):
    """The outputs of one row that CTranslate2's `translate_batch` returns, as token names, best first."""

    @property
    def hypotheses(self) -> Sequence[Sequence[str]]: ...

    @property
    def scores(self) -> Sequence[float]: ...


class _Generated(Protocol):
    """The outputs of one row that CTranslate2's `generate_batch` returns, as token names, best first."""

    @property
    def sequences(self) -> Sequence[Sequence[str]]: ...

    @property
    def scores(self) -> Sequence[float]: ...


class _Engine(Protocol):
    """CTranslate2's `Translator` or `Generator`: the first has `translate_batch`, the second `generate_batch`."""

    @property
    def device(self) -> str: ...

    @property
    def compute_type(self) -> str: ...

    def translate_batch(self, rows: list[list[str]], **options: object) -> Sequence[_Translated]: ...

    def generate_batch(self, rows: list[list[str]], **options: object) -> Sequence[_Generated]: ...


# The outputs of one row as token names, best first, and their scores.
_Outputs = tuple[Sequence[Sequence[str]], Sequence[float]]


def load(request: LoadRequest) -> CTranslate2Generator:
    """Converts the checkpoint to CTranslate2's format unless that is done, and returns the loaded model.

    Raises `ModelError` if it cannot be converted or loaded, and `ModelFileError` naming a bad file.
    """
    device = _choose_ctranslate2_device(request.device)
    compute_type = _choose_type(request, device)
    converted = _convert(request, compute_type)
    config = read_hub_config(converted.checkpoint, request.task)
    tokenization = load_tokenization(request, config, converted.checkpoint)
    kind = ctranslate2.Generator if config.causal else ctranslate2.Translator
    try:
        # Each worker has one thread: threads that share a small matrix mostly wait for each other
        # (docs/decisions/0025).
        engine: _Engine = kind(
            str(converted.weights),
            device=device,
            compute_type=compute_type,
            inter_threads=_count_workers(request, device),
            intra_threads=1,
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"CTranslate2 cannot load it: {error}") from error
    with naming_file("generation_config.json"):  # its end tokens may be outside the vocabulary
        return CTranslate2Generator(engine, tokenization, config, request, _count_bytes(converted))


def _count_workers(request: LoadRequest, device: str) -> int:
    return request.threads if device == "cpu" else 1


def prepare(request: LoadRequest) -> bool:
    """Converts the checkpoint to CTranslate2's format unless that is done. Returns True if it had to be converted."""
    compute_type = _choose_type(request, _choose_ctranslate2_device(request.device))
    if is_converted(request, compute_type):
        return False
    _convert(request, compute_type)
    return True


def _convert(request: LoadRequest, compute_type: str) -> Converted:
    if not any(path.suffix == ".gguf" for path in request.files.values()):
        # Finds errors of the configuration and the tokenizer before a conversion of minutes.
        config = read_hub_config(request.folder, request.task)
        check_sizes(request.folder)
        if not lacks_tokenizer(request.folder):
            load_tokenization(request, config, request.folder)
    return convert(request, compute_type)


def _choose_ctranslate2_device(wanted: str) -> str:
    """Returns `wanted` unchanged, unless it is `auto`: that becomes `cuda` if CTranslate2 can use a GPU, else `cpu`."""
    if wanted != "auto":
        return wanted
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def _choose_type(request: LoadRequest, device: str) -> str:
    supported = sorted(ctranslate2.get_supported_compute_types(device))
    if request.compute_type and request.compute_type not in supported:
        raise ModelError(
            f"compute_type {request.compute_type!r} is not supported by CTranslate2 on this {device}; use one of "
            f"{', '.join(supported)}"
        )
    return request.compute_type or _DEVICE_TYPES[device]


def _count_bytes(converted: Converted) -> int:
    return sum(path.stat().st_size for path in converted.weights.glob("model*.bin"))


class CTranslate2Generator(HubGenerator):
    """The `GeneratorBackend` of a checkpoint that CTranslate2 runs."""

    name = "ctranslate2"

    def __init__(
        self,
        engine: _Engine,
        tokenization: Tokenization,
        config: HubConfig,
        request: LoadRequest,
        memory_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        workers = _count_workers(request, engine.device)
        # Translation gives each worker a batch of its own: 32 rows in shares of eight take 1.4 times as long as whole.
        # Summarization has one thread for all its cores (`Executors`), so the library divides its batch into shares.
        translates = request.task == "translation"
        super().__init__(
            tokenization,
            config,
            request,
            max_batch_rows=_MAX_BATCH_ROWS,
            max_batch_tokens=_MAX_BATCH_TOKENS,
            concurrent_batches=workers if translates else 1,
            # On a GPU the number of hypotheses hardly changes the time.
            counts_beams=translates and engine.device == "cpu",
        )
        self._engine = engine
        # A batch is divided into two shares for each worker, so that a worker that ends early takes another.
        self._shares = 2 * workers if workers > self.limits.concurrent_batches else 1
        self._clock = clock
        self._splitter = BatchSplitter(clock)
        self._greedy_steps = StepCostModel()
        self._ends = [tokenization.tokens([i])[0] for i in sorted(config.end_ids)]
        self.memory_bytes = memory_bytes
        self.compute_type: str = engine.compute_type

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """See `GeneratorBackend.run`. A row does not depend on the lengths of the others: the library masks padding."""
        chosen = self._config.choose(options)
        hypotheses: list[Hypothesis] = []
        parts: Iterable[Sequence[TokenIds]] = (batch,)
        if chosen.beam_size != 1:  # a callback stops greedy search of any duration, for less than parts cost
            parts = self._splitter.divide(batch, lambda row: len(row) * (chosen.beam_size or 1))
        for part in parts:
            if cancelled():
                break
            hypotheses += self._run_by_cap(part, chosen, lambda rows, cap: self._search(rows, cap, chosen, cancelled))
        return hypotheses + [Hypothesis((), 0.0, truncated=True)] * (len(batch) - len(hypotheses))

    def _search(
        self, rows: Sequence[TokenIds], cap: int, options: DecodingOptions, cancelled: Cancelled
    ) -> list[Hypothesis]:
        if cancelled():  # while the rows of another output cap ran
            return [Hypothesis((), 0.0, truncated=True)] * len(rows)
        started = self._clock()
        results = self._generate([self._tokenization.tokens(row) for row in rows], cap, options, cancelled)
        hypotheses = [self._read(*outputs, cap, options) for outputs in results]
        if options.beam_size == 1:
            steps = max((hypothesis.token_count for hypothesis in hypotheses), default=0)
            self._greedy_steps.learn(len(rows), steps, self._clock() - started)
        return hypotheses

    def _may_last(self, rows: int, cap: int) -> bool:
        """True if a greedy search over `rows` rows up to the cap may take longer than `_MAX_UNPOLLED_SECONDS`.

        Also True before anything was measured.
        """
        seconds = self._greedy_steps.foresee(rows, cap + 1)
        return seconds is None or seconds > _MAX_UNPOLLED_SECONDS

    def _generate(
        self, rows: list[list[str]], cap: int, options: DecodingOptions, cancelled: Cancelled
    ) -> list[_Outputs]:
        beam = options.beam_size or 1
        keys: dict[str, object] = {
            "beam_size": beam,
            "num_hypotheses": options.hypothesis_count,
            "length_penalty": options.length_penalty,
            "repetition_penalty": options.repetition_penalty,
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
            "return_scores": True,
            "return_end_token": True,
            "suppress_sequences": self._list_banned() or None,
            "end_token": self._ends or None,
        }
        if self._shares > 1:
            keys["max_batch_size"] = math.ceil(len(rows) / self._shares)
        if beam == 1 and self._may_last(len(rows), cap):
            keys["callback"] = lambda _: cancelled()
        least = min(self._config.min_output_tokens, cap)
        if self._config.causal:
            generated = self._engine.generate_batch(
                rows, max_length=cap + 1, min_length=least, include_prompt_in_result=False, **keys
            )
            return [(result.sequences, result.scores) for result in generated]
        prefix = self._tokenization.tokens(self._begin_output(options.target))
        translated = self._engine.translate_batch(
            rows,
            target_prefix=[prefix] * len(rows) if prefix else None,
            max_decoding_length=cap + 1 + len(prefix),
            min_decoding_length=least,
            max_input_length=0,
            **keys,
        )
        return [(result.hypotheses, result.scores) for result in translated]

    def _list_banned(self) -> list[list[str]]:
        """Returns the banned sequences as token names, without those with a <pad> that the converter has removed."""
        removed = self._config.pad_id if self._config.family.marian_files else None
        return [self._tokenization.tokens(row) for row in self._config.banned if removed not in row]

    def _read(
        self, rows: Sequence[Sequence[str]], scores: Sequence[float], cap: int, options: DecodingOptions
    ) -> Hypothesis:
        """Returns the best of a row's outputs as a hypothesis, with the others as its alternatives.

        The library's score is the log-probability divided by length ** length_penalty; the hypothesis gets the former.
        """
        prefix = len(self._begin_output(options.target))
        ranked = []
        for tokens, score in zip(rows, scores, strict=True):
            finished = bool(tokens) and tokens[-1] in self._ends
            counted = len(tokens)
            ids = self._tokenization.ids(tokens[prefix : len(tokens) - finished])[:cap]
            ranked.append(Hypothesis(ids, score * counted ** (options.length_penalty or 0.0), truncated=not finished))
        return Hypothesis(ranked[0].ids, ranked[0].log_prob, ranked[0].truncated, tuple(ranked[1:]))
