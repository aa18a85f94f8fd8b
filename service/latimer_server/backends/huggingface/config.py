"""Reads the configuration of a checkpoint in the hub's layout: its family, sizes and decoding defaults.

Sources: transformers' `config.json`, `generation_config.json` and `tokenizer_config.json`. The files are untrusted,
so every value is checked before it is used. Imports no model library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from latimer_server.backends.huggingface.families import FAMILIES, ModelFamily
from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.core.errors import ModelFileError

T = TypeVar("T")

_MAX_JSON_BYTES = 64 << 20
# The maximum input length, in tokens, of a checkpoint whose configuration gives none.
_DEFAULT_POSITIONS = 512
# The default input limit of a translation model. Its quality drops long before its positions end, and sentences are
# shorter than this.
_TRANSLATION_TOKENS = 256
# The default input limit of a summarization model. Longer inputs cost memory and minutes.
_SUMMARY_TOKENS = 1_024
# The default output cap of a translation, in tokens per source token: longer outputs repeat themselves. Caps grow in
# steps (16, 24, 32, 48, 64, 96 ...), because rows with the same cap run together.
_MAX_LENGTH_RATIO = 3.0
_MIN_OUTPUT_CAP = 16
# The output cap of a summary if neither the caller nor the checkpoint sets one, and the positions that a causal model
# keeps for its output.
_SUMMARY_OUTPUT_TOKENS = 128
# Upper bounds on the defaults that a checkpoint sets. The number of beams is the most that a caller may request.
_MAX_BEAMS = 8
_MAX_OUTPUT_TOKENS = 4_096


@dataclass(frozen=True)
class HubConfig:
    """The checked values of a checkpoint's configuration files.

    `defaults` holds the decoding options that apply unless the caller sets them. `start_id` is the decoder's first
    input. `first_ids` are the forced first ids of every output (BART's <s>). `banned` lists sequences of ids that no
    output may contain. `prompt` is the prefix of a summarization input (T5's `summarize: `).
    """

    model_type: str
    vocabulary_size: int
    target_vocabulary_size: int
    separate_vocabularies: bool
    max_positions: int
    tokenizer_class: str
    defaults: DecodingOptions
    min_output_tokens: int
    start_id: int | None
    pad_id: int
    end_ids: frozenset[int]
    first_ids: TokenIds
    banned: tuple[TokenIds, ...]
    prompt: str

    @property
    def family(self) -> ModelFamily:
        """The row of the table of model families for `model_type`."""
        return FAMILIES[self.model_type]

    @property
    def causal(self) -> bool:
        """True if the model continues its prompt, instead of reading a source."""
        return self.family.causal

    def choose(self, options: DecodingOptions) -> DecodingOptions:
        """Returns a copy of the options with the model's defaults in place of decoding options that are not set.

        The beam is at least as wide as `hypothesis_count`. The output bounds stay as they are (see `cap_output`).
        `alignment` becomes False: these models have none.
        """
        beam = options.beam_size or self.defaults.beam_size or 1
        return DecodingOptions(
            max_output_tokens=options.max_output_tokens,
            max_length_ratio=options.max_length_ratio,
            beam_size=max(beam, options.hypothesis_count),
            length_penalty=_first(options.length_penalty, self.defaults.length_penalty, 1.0),
            repetition_penalty=_first(options.repetition_penalty, self.defaults.repetition_penalty, 1.0),
            no_repeat_ngram_size=_first(options.no_repeat_ngram_size, self.defaults.no_repeat_ngram_size, 0),
            hypothesis_count=options.hypothesis_count,
            target=options.target,
        )

    def cap_output(self, input_tokens: int, options: DecodingOptions, task: str) -> int:
        """Returns the maximum number of output tokens, without the end token, for an input of `input_tokens`.

        The caller's options replace the default of the task. The result is at least 1 and within the positions.
        """
        if options.max_length_ratio:
            cap = math.ceil(options.max_length_ratio * input_tokens)
        elif task == "translation":
            cap = _step_up(_MAX_LENGTH_RATIO * input_tokens)
        else:
            cap = self.defaults.max_output_tokens or _SUMMARY_OUTPUT_TOKENS
        cap = min(cap, options.max_output_tokens) if options.max_output_tokens else cap
        return max(1, min(cap, self.max_positions - 2))

    def limit_input(self, wanted: int, task: str) -> int:
        """Returns the maximum number of tokens of an input.

        It is `wanted` from the catalogue, or the default of the task if that is 0; but never more than the positions
        of the model allow, and at least 8.
        """
        most = self.max_positions if not self.causal else self.max_positions - _SUMMARY_OUTPUT_TOKENS
        return max(8, min(wanted or (_TRANSLATION_TOKENS if task == "translation" else _SUMMARY_TOKENS), most))


def _step_up(tokens: float) -> int:
    """Returns the smallest cap of the steps 16, 24, 32, 48 ... that is at least `tokens`."""
    step = _MIN_OUTPUT_CAP
    while step < tokens:
        step += step // 2
        if step < tokens:
            step += step // 3
    return step


def read_hub_config(folder: Path, task: str) -> HubConfig:
    """Reads the configuration files of the checkpoint in `folder`. Raises `ModelFileError` naming file and field."""
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if family is None:
        supported = ", ".join(FAMILIES)
        raise ModelFileError("config.json", f"model_type is {str(model_type)[:60]!r}; supported are {supported}")
    if "auto_map" in config and not config.get("architectures"):
        raise ModelFileError("config.json", "needs code of its own (auto_map), which the server never runs")
    special = _read_task_parameters(config, task)
    file, decoding = "config.json", config | special
    if (folder / "generation_config.json").is_file():
        file, decoding = "generation_config.json", decoding | read_json(folder / "generation_config.json") | special
    size = _whole(config, "vocab_size", 1, 4_000_000)
    separate = family.marian_files and config.get("share_encoder_decoder_embeddings") is False
    target_size = _whole(config, "decoder_vocab_size", 1, 4_000_000) if separate else size
    ids = _Ids(file, decoding, target_size)
    pad = find_whole(decoding, "pad_token_id", 0) or 0
    return HubConfig(
        model_type=family.model_type,
        vocabulary_size=size,
        target_vocabulary_size=target_size,
        separate_vocabularies=separate,
        max_positions=_positions(config, family),
        tokenizer_class=str(_tokenizer_class(folder, config)),
        defaults=DecodingOptions(
            max_output_tokens=find_whole(decoding, "max_new_tokens", 1, _MAX_OUTPUT_TOKENS)
            or find_whole(decoding, "max_length", 2, _MAX_OUTPUT_TOKENS),
            beam_size=find_whole(decoding, "num_beams", 1, _MAX_BEAMS),
            length_penalty=_number(decoding, "length_penalty", -10.0, 10.0),
            repetition_penalty=_number(decoding, "repetition_penalty", 0.01, 10.0),
            no_repeat_ngram_size=find_whole(decoding, "no_repeat_ngram_size", 0, _MAX_OUTPUT_TOKENS),
        ),
        min_output_tokens=find_whole(decoding, "min_length", 0, _MAX_OUTPUT_TOKENS) or 0,
        start_id=next(iter(ids.read("decoder_start_token_id")), None),
        # Padding is masked, so any id serves. A pad token that was added later has no weights.
        pad_id=pad if pad < size else 0,
        end_ids=frozenset(ids.read("eos_token_id")),
        first_ids=ids.read("forced_bos_token_id"),
        banned=ids.read_rows("bad_words_ids"),
        prompt=_text(special, "prefix"),
    )


def _read_task_parameters(config: Mapping[str, object], task: str) -> dict[str, object]:
    """Returns the object `task_specific_params.summarization` of a config.json; {} for another task or without it."""
    specific = config.get("task_specific_params")
    special = specific.get("summarization") if task == "summarization" and isinstance(specific, dict) else None
    special = special or {}
    if not isinstance(special, dict):
        raise ModelFileError("config.json", "task_specific_params.summarization is not an object")
    return special


@dataclass(frozen=True)
class _Ids:
    """Reads token ids in a configuration file and checks them: unknown ones would fail only at the first output."""

    file: str
    values: Mapping[str, object]
    size: int

    def read(self, key: str) -> TokenIds:
        """Returns the id or list of ids under `key`; () if there is none."""
        value = self.values.get(key)
        return self._check(key, value if isinstance(value, list) else [] if value is None else [value])

    def read_rows(self, key: str) -> tuple[TokenIds, ...]:
        """Returns the list of sequences of ids under `key`; () if there is none."""
        rows = self.values.get(key) or []
        if not isinstance(rows, list):
            raise ModelFileError(self.file, f"{key} is not a list")
        return tuple(self._check(key, row) for row in rows)

    def _check(self, key: str, row: object) -> TokenIds:
        if not isinstance(row, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in row):
            raise ModelFileError(self.file, f"{key}: {str(row)[:40]} are not token ids")
        outside = [i for i in row if not 0 <= i < self.size]
        if outside:
            raise ModelFileError(self.file, f"{key} is {outside[0]}; the vocabulary has {self.size} tokens")
        return tuple(row)


def read_json(path: Path) -> dict[str, object]:
    """Returns the JSON object in a file of at most 64 MiB. Raises `ModelFileError` naming the file if there is none."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelFileError(path.name, f"is larger than {_MAX_JSON_BYTES} bytes")
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelFileError(path.name, "is missing" if not path.exists() else f"cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(path.name, "is not JSON") from error
    if not isinstance(value, dict):
        raise ModelFileError(path.name, "is not a JSON object")
    return value


def _tokenizer_class(folder: Path, config: Mapping[str, object]) -> object:
    path = folder / "tokenizer_config.json"
    tokenizer_config = read_json(path) if path.is_file() else {}
    return config.get("tokenizer_class") or tokenizer_config.get("tokenizer_class") or ""


def _positions(config: Mapping[str, object], family: ModelFamily) -> int:
    # Relative positions have no limit; `n_positions` is the length in training.
    key = "n_positions" if family.relative_positions else "max_position_embeddings"
    return find_whole(config, key, 8) or _DEFAULT_POSITIONS


def _whole(config: Mapping[str, object], key: str, least: int, most: int) -> int:
    """Returns the whole number under `key`. Raises `ModelFileError` if it is absent or outside the bounds."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ModelFileError("config.json", f"{key} is {str(value)[:40]}; it must be {least} to {most}")
    return value


def find_whole(config: Mapping[str, object], key: str, least: int, most: int | None = None) -> int | None:
    """Returns the whole number under `key`, lowered to `most`; None for another type or a number below `least`."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        return None
    return value if most is None else min(value, most)


def _number(config: Mapping[str, object], key: str, least: float, most: float) -> float | None:
    """Returns the number under `key`; None for another type or outside the bounds (Python's JSON reads infinities)."""
    value = config.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        return None
    return float(value)


def _text(config: Mapping[str, object], key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""


def _first(first: T | None, second: T | None, fallback: T) -> T:
    """Returns `first`, or `second` if that is None, or `fallback` if both are."""
    if first is not None:
        return first
    return fallback if second is None else second
