"""Which files of a repository in the hub's layout a model needs: weights without code, configuration, tokenizer.

Pure functions over names (and a shard index); knows neither the hub nor the store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry

CONFIGURATION = "config.json"
SHARD_INDEX = "model.safetensors.index.json"
_SAFETENSORS = "model.safetensors"
_PICKLE = "pytorch_model.bin"
_SHARDS = "model-?????-of-?????.safetensors"
_PICKLE_INDEX = "pytorch_model.bin.index.json"
_PICKLE_SHARDS = "pytorch_model-?????-of-?????.bin"
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".npz")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_WANTED = (
    CONFIGURATION,
    "generation_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "target_vocab.json",
    "merges.txt",
    "source.spm",
    "target.spm",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "chat_template.jinja",
)
_TOKENIZERS = ("tokenizer.json", "source.spm", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
_BPE = frozenset(("vocab.json", "merges.txt"))
# A Marian binary ends in .bin too and is none.
_PICKLE_NAMES = re.compile(r"(pytorch|adapter)_model.*\.bin|.*\.(pt|pth|pkl|ckpt)")


def is_weights(name: str) -> bool:
    """Whether a file of this name holds weights."""
    return name.endswith(_WEIGHTS)


def is_pickle(name: str) -> bool:
    """Whether a file of this name is loaded with pickle, which can run any code."""
    return _PICKLE_NAMES.fullmatch(name) is not None


def select_files(names: Collection[str], entry: CatalogEntry) -> list[str]:
    """The names that the model needs, configuration first, weights last.

    Weights are those that the entry names, else safetensors, else pickles where the entry allows them; never
    two kinds. Raises `ModelError`, or `ModelFileError` naming what is missing.
    """
    named = [file.path for file in entry.files.values()]
    for name in named:
        if name not in names:
            raise ModelFileError(f"{entry.name}/{name}", "is not there")
    weights = [name for name in named if name.endswith(_WEIGHTS)] or _find_weights(names, entry)
    if not entry.allow_pickle and (pickles := sorted(filter(is_pickle, weights))):
        raise ModelError(
            f"{entry.name}: its weights are a pickle ({pickles[0]}), which can run any code when it is loaded: set "
            f"allow_pickle = true under [models.{entry.name}] in your own catalogue to take it all the same, or name "
            "a revision that has model.safetensors"
        )
    wanted = {name for name in names if "/" not in name and any(fnmatchcase(name, w) for w in _WANTED)}
    # A GGUF file holds its own configuration and tokenizer.
    if not all(name.endswith(".gguf") for name in weights):
        if CONFIGURATION not in wanted:
            raise ModelFileError(f"{entry.name}/{CONFIGURATION}", "is not there")
        if not wanted & set(_TOKENIZERS) and not wanted >= _BPE:
            raise ModelFileError(
                entry.name, f"has no tokenizer: none of {', '.join(_TOKENIZERS)}, nor vocab.json with merges.txt"
            )
    return sorted(wanted | set(named) - set(weights)) + sorted(weights)


def check_shards(folder: Path, names: Collection[str], entry: CatalogEntry) -> None:
    """Compares the shard index, where there is one, with the shards. Raises `ModelFileError`."""
    for index in {SHARD_INDEX, _PICKLE_INDEX} & set(names):
        try:
            shards = set(json.loads((folder / index).read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelFileError(f"{entry.name}/{index}", "is no index of shards") from error
        if missing := sorted(shards - set(names)):
            raise ModelFileError(f"{entry.name}/{missing[0]}", f"is not there, though {index} names it")


def _find_weights(names: Collection[str], entry: CatalogEntry) -> list[str]:
    for single, index, shards in (
        (_SAFETENSORS, SHARD_INDEX, _SHARDS),
        (_PICKLE, _PICKLE_INDEX, _PICKLE_SHARDS),
    ):
        if single in names:
            return [single]
        if index in names:
            return [index, *(name for name in names if fnmatchcase(name, shards))]
    there = sorted(name for name in names if name.endswith((*_WEIGHTS, *_PICKLES, ".h5", ".msgpack", ".onnx", ".ot")))
    found = f" (there are {', '.join(there[:5])})" if there else ""
    raise ModelFileError(f"{entry.name}/{_SAFETENSORS}", f"is not there{found}")
