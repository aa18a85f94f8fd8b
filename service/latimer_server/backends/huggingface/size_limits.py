"""Checks that the sizes in a checkpoint's `config.json` fit its weights, before a library allocates them.

A library builds the model that `config.json` describes and then looks for its weights. A configuration with a million
layers would keep a core and gigabytes of memory busy for minutes, although its file holds a single tensor. Sources:
transformers' `config.json` of the supported families, the header of safetensors. Imports no model library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from latimer_server.backends.huggingface.config import find_whole, read_json
from latimer_server.backends.huggingface.families import FAMILIES
from latimer_server.core.errors import ModelFileError

_LAYERS = ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_layers", "num_decoder_layers", "n_layer")
_WIDTHS = ("d_model", "hidden_size", "n_embd")
_INNER_WIDTHS = ("d_ff", "intermediate_size", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner")
_HEAD_WIDTHS = ("d_kv", "head_dim")
_HEADS = (
    "num_attention_heads",
    "num_key_value_heads",
    "encoder_attention_heads",
    "decoder_attention_heads",
    "num_heads",
    "n_head",
)
# The largest open models have some 130 layers, a width of 18,432, an inner width of 73,728 and 128 heads.
_MAX_LAYERS = 1_000
_MAX_WIDTH = 131_072
_MAX_HEADS = 1_024
# Values in a table of positions, which some families compute instead of storing it.
_MAX_POSITION_VALUES = 64 << 20
# The least bytes of a stored weight: four bits. Files of less than the slack have room for anything so small.
_LEAST_BYTES = 0.5
_SLACK_BYTES = 1 << 20


def check_sizes(folder: Path) -> None:
    """Raises `ModelFileError` if the checkpoint in `folder` has more layers or larger matrices than its weights."""
    config = read_json(folder / "config.json")
    layers = _check_each(config, _LAYERS, _MAX_LAYERS)
    widths = _check_each(config, _WIDTHS, _MAX_WIDTH)
    inner = _check_each(config, _INNER_WIDTHS, _MAX_WIDTH)
    _check_each(config, _HEAD_WIDTHS, _MAX_WIDTH)
    _check_each(config, _HEADS, _MAX_HEADS)
    width, rows = max(widths.values(), default=0), find_whole(config, "vocab_size", 1) or 0
    _check_positions(config, width)
    tensors = sorted(folder.glob("*.safetensors"))
    if tensors and (count := _count_tensors(tensors)) is not None:
        for key, value in layers.items():
            if value > count:
                raise ModelFileError("config.json", f"{key} is {value}; the files with weights have {count} tensors")
    weights = tensors or sorted(folder.glob("*.bin"))
    stored = sum(path.stat().st_size for path in weights if path.is_file())
    least = width * (rows + sum(layers.values()) * min(inner.values(), default=0))
    if stored and least * _LEAST_BYTES > stored + _SLACK_BYTES:
        problem = f"describes at least {least} weights; the files with weights have {stored} bytes"
        raise ModelFileError("config.json", problem)


def _check_each(config: Mapping[str, object], keys: Iterable[str], most: int) -> dict[str, int]:
    """Returns the whole numbers under these keys. Raises `ModelFileError` if one is above `most`."""
    values = {key: value for key in keys if (value := find_whole(config, key, 1))}
    for key, value in values.items():
        if value > most:
            raise ModelFileError("config.json", f"{key} is {value}; at most {most} are supported")
    return values


def _check_positions(config: Mapping[str, object], width: int) -> None:
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None or family.relative_positions or (family.causal and family.model_type != "gpt2"):
        return
    key = "n_positions" if family.causal else "max_position_embeddings"
    positions, most = find_whole(config, key, 1) or 0, _MAX_POSITION_VALUES // max(1, width)
    if positions > most:
        raise ModelFileError("config.json", f"{key} is {positions}; at most {most} are supported")


def _count_tensors(paths: Iterable[Path]) -> int | None:
    """Returns the number of tensors in safetensors files; None if one cannot be read, which the loader reports."""
    count = 0
    for path in paths:
        try:
            with safe_open(path, "numpy") as file:
                count += len(file.keys())
        except (SafetensorError, OSError):
            return None
    return count
