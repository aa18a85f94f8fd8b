"""Reads what a checkpoint in the hub's layout says of itself: its architecture, sizes and decoding defaults.

Sources: transformers' `config.json`, `generation_config.json` and `tokenizer_config.json`. Imports no model
library; the files are untrusted, so everything is checked before it is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.core.errors import ModelFileError

SEQUENCE_TO_SEQUENCE = ("marian", "bart", "mbart", "m2m_100", "pegasus", "t5", "mt5")
CAUSAL = ("llama", "mistral", "qwen2", "qwen3", "gemma", "phi3", "smollm3", "gpt2", "gpt_neox", "olmo2", "granite")
_MAX_JSON_BYTES = 64 << 20
_DEFAULT_POSITIONS = 512
# Long before its positions end a translation model's quality does; sentences are shorter than this.
_TRANSLATION_TOKENS = 256
# A generating model reads at most this, unless the catalogue says more: longer prompts cost memory and minutes.
_SUMMARY_TOKENS = 1_024
# No real translation needs more; what says more repeats itself. In steps, since the rows of a batch that have one
# cap run together (16, 24, 32, 48, 64, 96 ...).
_MAX_LENGTH_RATIO = 3.0
_MIN_OUTPUT_CAP = 16
_SUMMARY_OUTPUT_TOKENS = 128
# What a checkpoint may have as its own default, whatever its files say: as many beams as a caller may ask for.
_MOST_BEAMS = 8
_MOST_OUTPUT_TOKENS = 4_096


@dataclass(frozen=True)
class HubConfig:
    """A checkpoint's own account of itself. `defaults`: what its decoding options are unless asked otherwise;
    `first_ids`: what every output begins with (BART's <s>); `banned`: sequences that may not come out."""

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
    def causal(self) -> bool:
        """Whether it goes on with its prompt, instead of reading a source."""
        return self.model_type in CAUSAL

    def choose(self, options: DecodingOptions) -> DecodingOptions:
        """The options with the model's own defaults where they say nothing."""
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
        """The most tokens that an output may have."""
        if options.max_length_ratio:
            cap = math.ceil(options.max_length_ratio * input_tokens)
        elif task == "translation":
            cap = _step_up(_MAX_LENGTH_RATIO * input_tokens)
        else:
            cap = self.defaults.max_output_tokens or _SUMMARY_OUTPUT_TOKENS
        cap = min(cap, options.max_output_tokens) if options.max_output_tokens else cap
        return max(1, min(cap, self.max_positions - 2))

    def limit_input(self, wanted: int, task: str) -> int:
        """The most tokens of a source: as the catalogue wants, else what suits the task; never more than the
        model has positions for."""
        most = self.max_positions if not self.causal else self.max_positions - _SUMMARY_OUTPUT_TOKENS
        return max(8, min(wanted or (_TRANSLATION_TOKENS if task == "translation" else _SUMMARY_TOKENS), most))


def _step_up(tokens: float) -> int:
    step = _MIN_OUTPUT_CAP
    while step < tokens:
        step += step // 2
        if step < tokens:
            step += step // 3
    return step


def read_hub_config(folder: Path, task: str) -> HubConfig:
    """What the files in `folder` say. Raises `ModelFileError` naming the file for what does not add up."""
    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type not in (*SEQUENCE_TO_SEQUENCE, *CAUSAL):
        known = ", ".join((*SEQUENCE_TO_SEQUENCE, *CAUSAL))
        raise ModelFileError("config.json", f"model_type is {str(model_type)[:60]!r}; supported are {known}")
    if "auto_map" in config and not config.get("architectures"):
        raise ModelFileError("config.json", "wants code of its own (auto_map), which is never run")
    specific = config.get("task_specific_params")
    special = specific.get("summarization") if task == "summarization" and isinstance(specific, dict) else None
    if not isinstance(special or {}, dict):
        raise ModelFileError("config.json", "task_specific_params.summarization is no object")
    special = special or {}
    file, decoding = "config.json", config | special
    if (folder / "generation_config.json").is_file():
        file, decoding = "generation_config.json", decoding | read_json(folder / "generation_config.json") | special
    size = _whole(config, "vocab_size", 1, 4_000_000)
    separate = model_type == "marian" and config.get("share_encoder_decoder_embeddings") is False
    written = _whole(config, "decoder_vocab_size", 1, 4_000_000) if separate else size
    ids = _Ids(file, decoding, written)
    pad = _optional(decoding, "pad_token_id", 0) or 0
    return HubConfig(
        model_type=str(model_type),
        vocabulary_size=size,
        target_vocabulary_size=written,
        separate_vocabularies=separate,
        max_positions=_positions(config, str(model_type)),
        tokenizer_class=str(_tokenizer_class(folder, config)),
        defaults=DecodingOptions(
            max_output_tokens=_optional(decoding, "max_new_tokens", 1, _MOST_OUTPUT_TOKENS)
            or _optional(decoding, "max_length", 2, _MOST_OUTPUT_TOKENS),
            beam_size=_optional(decoding, "num_beams", 1, _MOST_BEAMS),
            length_penalty=_number(decoding, "length_penalty", -10.0, 10.0),
            repetition_penalty=_number(decoding, "repetition_penalty", 0.01, 10.0),
            no_repeat_ngram_size=_optional(decoding, "no_repeat_ngram_size", 0, _MOST_OUTPUT_TOKENS),
        ),
        min_output_tokens=_optional(decoding, "min_length", 0, _MOST_OUTPUT_TOKENS) or 0,
        start_id=next(iter(ids.read("decoder_start_token_id")), None),
        pad_id=pad if pad < size else 0,  # it is masked; one that was added later has no weights
        end_ids=frozenset(ids.read("eos_token_id")),
        first_ids=ids.read("forced_bos_token_id"),
        banned=ids.read_rows("bad_words_ids"),
        prompt=_text(special, "prefix"),
    )


@dataclass(frozen=True)
class _Ids:
    """The token ids in a file, checked: one that the vocabulary lacks would be a fault at the first output."""

    file: str
    values: Mapping[str, Any]
    size: int

    def read(self, key: str) -> TokenIds:
        """One id, several or none."""
        value = self.values.get(key)
        return self._check(key, value if isinstance(value, list) else [] if value is None else [value])

    def read_rows(self, key: str) -> tuple[TokenIds, ...]:
        """Sequences of ids."""
        rows = self.values.get(key) or []
        if not isinstance(rows, list):
            raise ModelFileError(self.file, f"{key} is no list")
        return tuple(self._check(key, row) for row in rows)

    def _check(self, key: str, row: object) -> TokenIds:
        if not isinstance(row, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in row):
            raise ModelFileError(self.file, f"{key}: {str(row)[:40]} are no token ids")
        outside = [i for i in row if not 0 <= i < self.size]
        if outside:
            raise ModelFileError(self.file, f"{key} is {outside[0]}; the vocabulary has {self.size} tokens")
        return tuple(row)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises `ModelFileError` naming the file."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelFileError(path.name, f"is larger than {_MAX_JSON_BYTES} bytes")
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelFileError(path.name, "is missing" if not path.exists() else f"cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(path.name, "is no JSON") from error
    if not isinstance(value, dict):
        raise ModelFileError(path.name, "is no JSON object")
    return value


def _tokenizer_class(folder: Path, config: Mapping[str, Any]) -> object:
    own = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    return config.get("tokenizer_class") or own.get("tokenizer_class") or ""


def _positions(config: Mapping[str, Any], model_type: str) -> int:
    if model_type in ("t5", "mt5"):
        # Relative positions have no end; these models were trained on this many.
        return _optional(config, "n_positions", 8) or _DEFAULT_POSITIONS
    return _optional(config, "max_position_embeddings", 8) or _DEFAULT_POSITIONS


def _whole(config: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ModelFileError("config.json", f"{key} is {str(value)[:40]}; {least} to {most}")
    return value


def _optional(config: Mapping[str, Any], key: str, least: int, most: int | None = None) -> int | None:
    """A whole number, no larger than `most`; None for what is none, or too small to mean anything."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        return None
    return value if most is None else min(value, most)


def _number(config: Mapping[str, Any], key: str, least: float, most: float) -> float | None:
    """A number; None for what is none, or none that anybody means (JSON as Python reads it has infinities)."""
    value = config.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        return None
    return float(value)


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""


def _first(*values: Any) -> Any:  # noqa: ANN401 (whatever type the values have)
    return next(value for value in values if value is not None)
