"""File layout: selects the files of a Hugging Face repository that a model needs.

These are the weights, the configuration and the tokenizer, but no code.
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
# The file names that `is_pickle` accepts. Marian's models end in .bin too, but are not pickles, so .bin files count
# only with these names.
_PICKLE_NAMES = re.compile(r"(pytorch|adapter)_model.*\.bin|.*\.(pt|pth|pkl|ckpt)")


def is_weights(name: str) -> bool:
    """Returns True if a file of this name contains weights."""
    return name.endswith(_WEIGHTS)


def is_pickle(name: str) -> bool:
    """Returns True if a file of this name is in pickle format, which can run any code when it is loaded."""
    return _PICKLE_NAMES.fullmatch(name) is not None


def select_files(names: Collection[str], entry: CatalogEntry) -> list[str]:
    """Returns the file names that the model needs, the weights last.

    `names`: the files of the repository or folder. The weights are those that the entry lists, else safetensors files,
    else pickles; never two kinds. Raises `ModelFileError` if the weights, the configuration, the tokenizer or a listed
    file is missing, and `ModelError` if the weights are a pickle and the entry does not have `allow_pickle`.
    """
    named = [file.path for file in entry.files.values()]
    for name in named:
        if name not in names:
            raise ModelFileError(f"{entry.name}/{name}", "is not there")
    weights = [name for name in named if name.endswith(_WEIGHTS)] or _find_weights(names, entry)
    if not entry.allow_pickle and (pickles := sorted(filter(is_pickle, weights))):
        raise ModelError(
            f"{entry.name}: its weights are a pickle ({pickles[0]}), which can run any code when it is loaded: set "
            f"allow_pickle = true under [models.{entry.name}] in your own catalogue to accept it, or name a revision "
            "that has model.safetensors"
        )
    wanted = {name for name in names if "/" not in name and any(fnmatchcase(name, pattern) for pattern in _WANTED)}
    # A GGUF file contains its configuration and its tokenizer.
    if not all(name.endswith(".gguf") for name in weights):
        if CONFIGURATION not in wanted:
            raise ModelFileError(f"{entry.name}/{CONFIGURATION}", "is not there")
        if not wanted & set(_TOKENIZERS) and not wanted >= _BPE:
            raise ModelFileError(
                entry.name, f"has no tokenizer: none of {', '.join(_TOKENIZERS)}, nor vocab.json with merges.txt"
            )
    return sorted(wanted | set(named) - set(weights)) + sorted(weights)


def check_shards(folder: Path, names: Collection[str], entry: CatalogEntry) -> None:
    """Raises `ModelFileError` if an index of sharded weights among `names` is malformed or names a file not in `names`.

    `folder`: the folder with the index.
    """
    for index in {SHARD_INDEX, _PICKLE_INDEX} & set(names):
        try:
            shards = set(json.loads((folder / index).read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelFileError(f"{entry.name}/{index}", "is not an index of shards") from error
        if missing := sorted(shards - set(names)):
            raise ModelFileError(f"{entry.name}/{missing[0]}", f"is not there, though {index} names it")


def _find_weights(names: Collection[str], entry: CatalogEntry) -> list[str]:
    """Returns the names of the weight files, with their index if they are sharded. Prefers safetensors to pickles.

    Raises `ModelFileError` if there are neither.
    """
    for single, index, shards in (
        (_SAFETENSORS, SHARD_INDEX, _SHARDS),
        (_PICKLE, _PICKLE_INDEX, _PICKLE_SHARDS),
    ):
        if single in names:
            return [single]
        if index in names:
            return [index, *(name for name in names if fnmatchcase(name, shards))]
    others = sorted(name for name in names if name.endswith((*_WEIGHTS, *_PICKLES, ".h5", ".msgpack", ".onnx", ".ot")))
    hint = f" (there are {', '.join(others[:5])})" if others else ""
    raise ModelFileError(f"{entry.name}/{_SAFETENSORS}", f"is not there{hint}")
