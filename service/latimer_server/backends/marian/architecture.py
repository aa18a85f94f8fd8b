"""The sizes of a Marian student and the variant of the network that it is, read from its own configuration.

Sources: the options of marian-dev `src/common/config_parser.cpp`, and mozilla/translations
`pipeline/train/configs/model/student.*.yml` with `train.py` (tiny, base-memory and base; how embeddings are tied).
Knows no weights. What is not supported is refused by the option's name, never run wrongly.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

from latimer_server.core.errors import ModelFileError

_MAX_DIMENSION = 8_192
_MAX_DEPTH = 48
_MAX_VOCABULARY = 1_000_000

# What the network implements. An option that a file lacks is taken to be so.
_SUPPORTED: dict[str, Any] = {
    "type": "transformer",
    "dec-cell": "ssru",
    "dec-cell-base-depth": 2,
    "transformer-decoder-autoreg": "rnn",
    "transformer-rnn-projection": False,
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": 2,
    "transformer-decoder-ffn-depth": 0,  # as in the encoder
    "transformer-decoder-dim-ffn": 0,
    "transformer-train-position-embeddings": False,
    "transformer-no-projection": False,
    "transformer-pool": False,
    "transformer-tied-layers": [],
    "layer-normalization": False,
    "output-omit-bias": False,
    "lemma-dim-emb": 0,
    "input-types": [],
    "right-left": False,
    "ulr": False,
}
# What surrounds each sublayer: `a` adds its input, `n` normalises. `d` is dropout, which only training has.
_SUPPORTED_STEPS = {
    "transformer-preprocess": "",
    "transformer-postprocess": "an",
    "transformer-postprocess-emb": "",
    "transformer-postprocess-top": "",
}


@dataclass(frozen=True)
class Architecture:
    """The sizes that a model file gives in its own configuration.

    `shared`: one vocabulary and one matrix of embeddings for source, target and output. Else source and target
    have their own, and the target's is the output's too.
    """

    dimension: int
    heads: int
    ffn_dimension: int
    encoder_depth: int
    decoder_depth: int
    source_vocabulary: int
    target_vocabulary: int
    shared: bool


def read_architecture(config: dict[str, Any], file: str) -> Architecture:
    """The sizes in `special:model.yml`. Raises `ModelFileError` for a network we do not implement."""
    _refuse_other_networks(config, file)
    shared = _read_tying(config, file)
    vocabularies = config.get("dim-vocabs")
    if not isinstance(vocabularies, list) or len(vocabularies) != 2:
        raise ModelFileError(file, f"dim-vocabs is {reprlib.repr(vocabularies)}; supported are two sizes")
    if shared and vocabularies[0] != vocabularies[1]:
        raise ModelFileError(
            file, f"dim-vocabs is {reprlib.repr(vocabularies)}; two equal sizes belong to tied-embeddings-all"
        )
    source, target = (_size({"dim-vocabs": size}, "dim-vocabs", _MAX_VOCABULARY, file) for size in vocabularies)
    shape = Architecture(
        dimension=_size(config, "dim-emb", _MAX_DIMENSION, file),
        heads=_size(config, "transformer-heads", _MAX_DIMENSION, file),
        ffn_dimension=_size(config, "transformer-dim-ffn", 4 * _MAX_DIMENSION, file),
        encoder_depth=_size(config, "enc-depth", _MAX_DEPTH, file),
        decoder_depth=_size(config, "dec-depth", _MAX_DEPTH, file),
        source_vocabulary=source,
        target_vocabulary=target,
        shared=shared,
    )
    if shape.dimension % shape.heads or shape.dimension % 2 or shape.dimension < 4:
        raise ModelFileError(file, f"dim-emb {shape.dimension} does not divide into {shape.heads} heads and sinusoids")
    return shape


def _refuse_other_networks(config: dict[str, Any], file: str) -> None:
    for key, supported in _SUPPORTED.items():
        found = config.get(key, supported)
        if found != supported:
            raise ModelFileError(file, f"{key} is {reprlib.repr(found)}; supported is {supported!r}")
    for key, steps in _SUPPORTED_STEPS.items():
        found = config.get(key, steps)
        if not isinstance(found, str) or found.replace("d", "") != steps:
            raise ModelFileError(file, f"{key} is {reprlib.repr(found)}; supported is {steps!r}, with or without d")


def _read_tying(config: dict[str, Any], file: str) -> bool:
    """Whether everything shares one matrix, as `tied-embeddings-all` says (the other two then mean nothing)."""
    everything = config.get("tied-embeddings-all", True)
    if everything is True:
        return True
    target, source = config.get("tied-embeddings", False), config.get("tied-embeddings-src", False)
    if (everything, target, source) == (False, True, False):
        return False
    found = ", ".join(map(reprlib.repr, (everything, target, source)))
    raise ModelFileError(
        file,
        f"tied-embeddings-all, tied-embeddings and tied-embeddings-src are {found}; supported is the first "
        "or only the second",
    )


def _size(config: dict[str, Any], key: str, most: int, file: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ModelFileError(file, f"{key} is {reprlib.repr(value)}; supported is 1 to {most}")
    return value
