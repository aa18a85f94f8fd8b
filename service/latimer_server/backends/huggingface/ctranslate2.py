"""The backend for checkpoints of the hub that CTranslate2 runs: int8 on the CPU, float16 on a GPU.

Source: CTranslate2's `Translator` and `Generator`. A batch inside the library cannot be stopped (greedy search
can, at a price), so it is run in parts of seconds. Imports neither torch nor transformers: the conversion does.
Knows nothing of requests.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import ctranslate2

from latimer_server.backends.huggingface.batch_splitting import BatchSplitter, StepCostModel
from latimer_server.backends.huggingface.config import HubConfig, read_hub_config
from latimer_server.backends.huggingface.conversion import Converted, convert, is_converted
from latimer_server.backends.huggingface.conversion_worker import lacks_tokenizer
from latimer_server.backends.huggingface.generator import HubGenerator
from latimer_server.backends.huggingface.tokenization import Tokenization, load_tokenization
from latimer_server.backends.load_errors import naming_file
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import ModelError

_MAX_BATCH_ROWS = 32
_MAX_BATCH_TOKENS = 2_048
# A greedy search that may last longer asks for every token whether somebody waits still. The library's threads are none
# of Python's, and each such question makes one a thread of Python's and ends that again: 6 % of a batch's time.
_UNASKED_SECONDS = 4.0
_DEVICE_TYPES = {"cpu": "int8", "cuda": "float16"}


def load_ctranslate2(request: LoadRequest) -> CTranslate2Generator:
    """Converts the checkpoint where that was not done yet, and loads it.

    Raises `ModelError` for what cannot be converted or loaded, `ModelFileError` naming a file at fault.
    """
    device = _choose_ctranslate2_device(request.device)
    compute_type = _choose_type(request, device)
    converted = _convert(request, compute_type)
    config = read_hub_config(converted.checkpoint, request.task)
    tokenization = load_tokenization(request, config, converted.checkpoint)
    keys: dict[str, Any] = {"device": device, "compute_type": compute_type}
    # Workers of a thread each: threads that share a small matrix mostly wait for each other (docs/decisions.md).
    keys |= {"inter_threads": _count_workers(request, device), "intra_threads": 1}
    kind = ctranslate2.Generator if config.causal else ctranslate2.Translator
    try:
        engine = kind(str(converted.weights), **keys)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"CTranslate2 cannot load it: {error}") from error
    with naming_file("generation_config.json"):  # its end tokens may be none of the vocabulary's
        return CTranslate2Generator(engine, tokenization, config, request, _count_bytes(converted))


def _count_workers(request: LoadRequest, device: str) -> int:
    return request.threads if device == "cpu" else 1


def prepare_model(request: LoadRequest) -> bool:
    """Converts the checkpoint where that was not done yet; whether it was."""
    compute_type = _choose_type(request, _choose_ctranslate2_device(request.device))
    if is_converted(request, compute_type):
        return False
    _convert(request, compute_type)
    return True


def _convert(request: LoadRequest, compute_type: str) -> Converted:
    if not any(path.suffix == ".gguf" for path in request.files.values()):
        # What can be told before minutes of conversion.
        config = read_hub_config(request.folder, request.task)
        if not lacks_tokenizer(request.folder):
            load_tokenization(request, config, request.folder)
    return convert(request, compute_type)


def _choose_ctranslate2_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU where CTranslate2 sees one."""
    if wanted != "auto":
        return wanted
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def _choose_type(request: LoadRequest, device: str) -> str:
    known = sorted(ctranslate2.get_supported_compute_types(device))
    if request.compute_type and request.compute_type not in known:
        raise ModelError(
            f"compute_type {request.compute_type!r} is none of CTranslate2's on this {device}; {', '.join(known)} are"
        )
    return request.compute_type or _DEVICE_TYPES[device]


def _count_bytes(converted: Converted) -> int:
    return sum(path.stat().st_size for path in converted.weights.glob("model*.bin"))


class CTranslate2Generator(HubGenerator):
    """A loaded model; a `GeneratorBackend`."""

    name = "ctranslate2"

    def __init__(
        self,
        engine: Any,  # noqa: ANN401 (the library has no types)
        tokenization: Tokenization,
        config: HubConfig,
        request: LoadRequest,
        memory_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        workers = _count_workers(request, engine.device)
        # A worker is quickest with a batch of its own: in shares of eight rows 32 take 1.4 times as long as whole.
        # Summaries have one thread for all their cores (`Executors`), so that theirs is handed out in shares.
        translates = request.task == "translation"
        super().__init__(
            tokenization,
            config,
            request,
            max_batch_rows=_MAX_BATCH_ROWS,
            max_batch_tokens=_MAX_BATCH_TOKENS,
            concurrent_batches=workers if translates else 1,
            # On a GPU more hypotheses are hardly slower than few.
            counts_beams=translates and engine.device == "cpu",
        )
        self._engine = engine
        # Two for each worker, so that one that ends early has another.
        self._shares = 2 * workers if workers > self.limits.concurrent_batches else 1
        self._clock = clock
        self._splitter = BatchSplitter(clock)
        self._steps = StepCostModel()  # of greedy search
        self._ends = [tokenization.tokens([i])[0] for i in sorted(config.end_ids)]
        self.memory_bytes = memory_bytes
        self.compute_type: str = engine.compute_type

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """See `GeneratorBackend.run`. Rows of other lengths than theirs change no row: the library masks them."""
        chosen = self._config.choose(options)
        hypotheses: list[Hypothesis] = []
        for part in self._splitter.divide(batch, lambda row: len(row) * (chosen.beam_size or 1)):
            if cancelled():
                break
            hypotheses += self._run_by_cap(part, chosen, lambda rows, cap: self._search(rows, cap, chosen, cancelled))
        return hypotheses + [Hypothesis((), 0.0, truncated=True)] * (len(batch) - len(hypotheses))

    def _search(
        self, rows: Sequence[TokenIds], cap: int, options: DecodingOptions, cancelled: Cancelled
    ) -> list[Hypothesis]:
        if cancelled():  # while rows of another cap ran
            return [Hypothesis((), 0.0, truncated=True)] * len(rows)
        started = self._clock()
        results = self._generate([self._tokenization.tokens(row) for row in rows], cap, options, cancelled)
        hypotheses = [self._read(result, cap, options) for result in results]
        if options.beam_size == 1:
            steps = max((hypothesis.token_count for hypothesis in hypotheses), default=0)
            self._steps.learn(len(rows), steps, self._clock() - started)
        return hypotheses

    def _may_last(self, rows: int, cap: int) -> bool:
        """Whether greedy search with so many rows, should one of them come to the cap, takes long or nobody knows."""
        foreseen = self._steps.foresee(rows, cap + 1)
        return foreseen is None or foreseen > _UNASKED_SECONDS

    def _generate(self, rows: list[list[str]], cap: int, options: DecodingOptions, cancelled: Cancelled) -> list[Any]:
        beam = options.beam_size or 1
        keys: dict[str, Any] = {
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
            results: list[Any] = self._engine.generate_batch(
                rows, max_length=cap + 1, min_length=least, include_prompt_in_result=False, **keys
            )
            return results
        prefix = self._tokenization.tokens(self._begin_output(options.target))
        translated: list[Any] = self._engine.translate_batch(
            rows,
            target_prefix=[prefix] * len(rows) if prefix else None,
            max_decoding_length=cap + 1 + len(prefix),
            min_decoding_length=least,
            max_input_length=0,
            **keys,
        )
        return translated

    def _list_banned(self) -> list[list[str]]:
        # The converter took Marian's <pad> out of the vocabulary.
        gone = self._config.pad_id if self._config.model_type == "marian" else None
        return [self._tokenization.tokens(row) for row in self._config.banned if gone not in row]

    def _read(self, result: Any, cap: int, options: DecodingOptions) -> Hypothesis:  # noqa: ANN401
        rows = result.sequences if self._config.causal else result.hypotheses
        prefix = len(self._begin_output(options.target))
        ranked = []
        for tokens, score in zip(rows, result.scores, strict=True):
            finished = bool(tokens) and tokens[-1] in self._ends
            counted = len(tokens)
            ids = self._tokenization.ids(tokens[prefix : len(tokens) - finished])[:cap]
            ranked.append(Hypothesis(ids, score * counted ** (options.length_penalty or 0.0), truncated=not finished))
        return Hypothesis(ranked[0].ids, ranked[0].log_prob, ranked[0].truncated, tuple(ranked[1:]))
