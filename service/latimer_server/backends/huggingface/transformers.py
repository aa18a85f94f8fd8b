"""The backend that runs checkpoints of the hub with transformers and torch. It supports all families and is slower
than CTranslate2.

Source: transformers' `generate`. Runs no code of a checkpoint, and reads pickle files only with `allow_pickle`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    GenerationConfig,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.utils import logging as transformers_logging

from latimer_server.backends.huggingface.config import HubConfig, read_hub_config
from latimer_server.backends.huggingface.conversion import prepare_checkpoint
from latimer_server.backends.huggingface.families import FAMILIES
from latimer_server.backends.huggingface.generator import HubGenerator
from latimer_server.backends.huggingface.size_limits import check_sizes
from latimer_server.backends.huggingface.tokenization import Tokenization, load_tokenization
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.errors import ModelError, ModelFileError

_MAX_BATCH_ROWS = 16
_MAX_BATCH_TOKENS = 1_536
# The maximum number of logits (outputs x tokens x vocabulary) in memory while outputs are scored.
_SCORED_VALUES = 64 << 20


class _Output(Protocol):
    """The result of one pass of a transformers model over a batch. The logits are [rows, tokens, vocabulary]."""

    @property
    def logits(self) -> Tensor: ...


class _Model(Protocol):
    """The methods of transformers' model classes that this module calls."""

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device: ...

    def generate(self, inputs: Tensor, **options: object) -> Tensor: ...

    def __call__(self, **inputs: Tensor) -> _Output: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def buffers(self) -> Iterator[Tensor]: ...

    def to(self, device: str) -> Self: ...

    def eval(self) -> Self: ...


def load(request: LoadRequest) -> TransformersGenerator:
    """Loads the checkpoint with transformers.

    Raises `ModelFileError` naming a bad file, and `ModelError` if the library cannot load it or compute in its type.
    """
    torch.set_num_threads(request.threads)
    # transformers prints a progress bar for each load and advice to developers; neither belongs into a server's log.
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    folder = prepare_checkpoint(request)
    config = read_hub_config(folder, request.task)
    check_sizes(folder)
    tokenization = load_tokenization(request, config, folder)
    device = choose_torch_device(request.device)
    model = _load_model(folder, config, choose_type(device, config.model_type, request.compute_type), request)
    return TransformersGenerator(model.to(device).eval(), tokenization, config, request)


def choose_torch_device(wanted: str) -> str:
    """Returns `wanted` unchanged, unless it is `auto`: that becomes `cuda` if torch can use a GPU, else `cpu`."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_type(device: str, model_type: str, wanted: str = "") -> torch.dtype:
    """Returns the torch type `wanted`, or the default if that is "". Raises `ModelError` for an unknown type.

    The default is float32 on a CPU; on a GPU bfloat16 for families that overflow in float16, and float16 for others.
    """
    if wanted:
        found = getattr(torch, wanted, None)
        if not isinstance(found, torch.dtype) or not found.is_floating_point:
            raise ModelError(
                f"compute_type {wanted!r} is not supported by transformers; use float32, bfloat16 or float16"
            )
        return found
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if FAMILIES[model_type].overflows_float16 else torch.float16


def _load_model(folder: Path, config: HubConfig, dtype: torch.dtype, request: LoadRequest) -> _Model:
    pickled = not any(folder.glob("*.safetensors"))
    if pickled and not request.allow_pickle:
        raise ModelFileError("model.safetensors", "is missing; pickle files are read only with allow_pickle = true")
    kind = AutoModelForCausalLM if config.causal else AutoModelForSeq2SeqLM
    try:
        model, report = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=not pickled,
            weights_only=True,
            dtype=dtype,
            output_loading_info=True,
        )
    except Exception as error:  # each family raises other errors
        text = " ".join(str(error).split())
        raise ModelError(f"transformers cannot load it: {type(error).__name__}: {text[:300]}") from error
    if report.get("mismatched_keys") or report.get("missing_keys"):
        wrong = sorted(map(str, report.get("mismatched_keys") or report.get("missing_keys") or ()))
        raise ModelFileError(
            "model.safetensors", f"does not fit config.json: {wrong[0][:200]} and {len(wrong) - 1} more"
        )
    # Without it `generate` obeys options of the checkpoint that we do not set, such as a forced end token at the cap.
    model.generation_config = GenerationConfig()
    loaded: _Model = model
    return loaded


class TransformersGenerator(HubGenerator):
    """The `GeneratorBackend` of a checkpoint that transformers runs."""

    name = "transformers"

    def __init__(
        self,
        model: _Model,
        tokenization: Tokenization,
        config: HubConfig,
        request: LoadRequest,
    ) -> None:
        super().__init__(
            tokenization, config, request, max_batch_rows=_MAX_BATCH_ROWS, max_batch_tokens=_MAX_BATCH_TOKENS
        )
        self._model = model
        self.memory_bytes = sum(tensor.numel() * tensor.element_size() for tensor in _tensors(model))
        self.compute_type = str(model.dtype).removeprefix("torch.")

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """See `GeneratorBackend.run`."""
        if not batch:
            return []
        chosen = self._config.choose(options)
        with torch.inference_mode():
            return self._run_by_cap(batch, chosen, lambda rows, cap: self._generate(rows, cap, chosen, cancelled))

    def _generate(
        self, rows: Sequence[TokenIds], cap: int, options: DecodingOptions, cancelled: Cancelled
    ) -> list[Hypothesis]:
        inputs, mask = self._pad(rows, left=self._config.causal)
        prefix = self._begin_output(options.target)
        keys: dict[str, Tensor] = {}
        skipped = inputs.shape[1]
        if not self._config.causal:
            start = self._config.pad_id if self._config.start_id is None else self._config.start_id
            keys["decoder_input_ids"] = torch.tensor([[start, *prefix]] * len(rows), device=self._model.device)
            skipped = 1 + len(prefix)
        generated = self._model.generate(
            inputs,
            attention_mask=mask,
            generation_config=self._configure(cap, options),
            stopping_criteria=StoppingCriteriaList([_Stop(cancelled)]),
            **keys,
        )
        count = options.hypothesis_count
        outputs = [self._cut(row[skipped:].tolist(), cap) for row in generated]
        scores = self._score(inputs, mask, keys.get("decoder_input_ids"), outputs, count)
        ranked = [
            Hypothesis(tuple(ids), score, truncated=not finished)
            for (ids, finished), score in zip(outputs, scores, strict=True)
        ]
        return [
            Hypothesis(best.ids, best.log_prob, best.truncated, tuple(ranked[start + 1 : start + count]))
            for start, best in ((start, ranked[start]) for start in range(0, len(ranked), count))
        ]

    def _configure(self, cap: int, options: DecodingOptions) -> GenerationConfig:
        beam = options.beam_size or 1
        ends = sorted(self._config.end_ids)
        return GenerationConfig(
            max_new_tokens=cap + 1,
            min_new_tokens=min(self._config.min_output_tokens, cap) or None,
            num_beams=beam,
            num_return_sequences=options.hypothesis_count,
            do_sample=False,
            # As in CTranslate2: the search ends when as many hypotheses as beams are finished.
            early_stopping=beam > 1,
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            pad_token_id=self._config.pad_id,
            eos_token_id=ends if ends else None,
            decoder_start_token_id=self._config.start_id,
            bad_words_ids=[list(row) for row in self._config.banned] or None,
        )

    def _pad(self, rows: Sequence[TokenIds], *, left: bool) -> tuple[Tensor, Tensor]:
        side = "left" if left else "right"
        ids = [torch.tensor(row) for row in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        padded = pad(ids, batch_first=True, padding_value=self._config.pad_id, padding_side=side)
        mask = pad([torch.ones_like(row) for row in ids], batch_first=True, padding_side=side)
        return padded.to(self._model.device), mask.to(self._model.device)

    def _cut(self, ids: list[int], cap: int) -> tuple[list[int], bool]:
        """Returns the ids before the first end token and True, or the first `cap` ids and False if there is none."""
        for index, token in enumerate(ids):
            if token in self._config.end_ids:
                return ids[:index], True
        return ids[:cap], False

    def _score(
        self,
        inputs: Tensor,
        mask: Tensor,
        start: Tensor | None,
        outputs: Sequence[tuple[list[int], bool]],
        count: int,
    ) -> list[float]:
        """Returns the log-probability of each output, with its end token. Each input has `count` outputs in a row.

        Computes it in one more pass, because `generate` would keep the logits of every beam and step for it.
        """
        end = min(self._config.end_ids, default=self._config.pad_id)
        rows = [tuple(ids) + ((end,) if finished else ()) for ids, finished in outputs]
        width = max(1, max(map(len, rows)))
        at_once = max(1, math.floor(_SCORED_VALUES / (width * self._config.target_vocabulary_size)))
        scores: list[float] = []
        for first in range(0, len(rows), at_once):
            part = rows[first : first + at_once]
            source = torch.tensor([(first + i) // count for i in range(len(part))], device=inputs.device)
            scores += self._score_part(inputs[source], mask[source], start, part)
        return scores

    def _score_part(self, inputs: Tensor, mask: Tensor, start: Tensor | None, rows: Sequence[TokenIds]) -> list[float]:
        targets, target_mask = self._pad([row or (self._config.pad_id,) for row in rows], left=False)
        if start is None:
            ids = torch.cat([inputs, targets], dim=1)
            whole = torch.cat([mask, target_mask], dim=1)
            positions = (whole.cumsum(dim=1) - 1).clamp(min=0)
            logits = self._model(input_ids=ids, attention_mask=whole, position_ids=positions).logits
            logits = logits[:, inputs.shape[1] - 1 : -1]
        else:
            begin = start[:1].expand(len(rows), -1)
            decoder_ids = torch.cat([begin, targets[:, :-1]], dim=1)
            logits = self._model(input_ids=inputs, attention_mask=mask, decoder_input_ids=decoder_ids).logits
            logits = logits[:, begin.shape[1] - 1 :]
        log_probs = torch.log_softmax(logits.float(), dim=-1)
        chosen = log_probs.gather(2, targets[:, :, None])[:, :, 0]
        sums: list[float] = [float(row[: len(ids)].sum()) for row, ids in zip(chosen, rows, strict=True)]
        return sums


class _Stop(StoppingCriteria):  # type: ignore[misc]  # mypy does not read the library
    """The criterion that ends transformers' search over a batch once `cancelled` returns True. Polled at every step."""

    def __init__(self, cancelled: Cancelled) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: Tensor, scores: Tensor, **keys: object) -> Tensor:  # noqa: ARG002
        return torch.full((input_ids.shape[0],), self._cancelled(), device=input_ids.device)


def _tensors(model: _Model) -> list[Tensor]:
    """Returns the parameters and buffers of a model, each tensor once even if several layers share it."""
    return list({tensor.data_ptr(): tensor for tensor in (*model.parameters(), *model.buffers())}.values())
