"""Reads the sizes of a Marian student from its configuration, and refuses network variants that are not supported.

Sources: the options of marian-dev `src/common/config_parser.cpp`, and mozilla/translations
`pipeline/train/configs/model/student.*.yml` with `train.py` (tiny, base-memory and base; how embeddings are tied).
The error names the unsupported option.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass

from latimer_server.core.errors import ModelFileError

_MAX_DIMENSION = 8_192
_MAX_DEPTH = 48
_MAX_VOCABULARY = 1_000_000

# The option values that the engines implement. They are also the defaults of options that a file does not set.
_SUPPORTED: Mapping[str, object] = {
    "type": "transformer",
    "dec-cell": "ssru",
    "dec-cell-base-depth": 2,
    "transformer-decoder-autoreg": "rnn",
    "transformer-rnn-projection": False,
    "transformer-ffn-activation": "relu",
    "transformer-ffn-depth": 2,
    "transformer-decoder-ffn-depth": 0,  # 0: as many as the encoder
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
# The steps around each sublayer: `a` adds its input, `n` normalises. `d` is dropout, which applies in training only.
_SUPPORTED_STEPS = {
    "transformer-preprocess": "",
    "transformer-postprocess": "an",
    "transformer-postprocess-emb": "",
    "transformer-postprocess-top": "",
}


@dataclass(frozen=True)
class Architecture:
    """The sizes of a Marian student's network, from the configuration in its model file.

    `shared`: source, target and output share one vocabulary and one embedding matrix. Otherwise source and target
    have their own, and the output uses the target's.
    """

    dimension: int
    heads: int
    ffn_dimension: int
    encoder_depth: int
    decoder_depth: int
    source_vocabulary: int
    target_vocabulary: int
    shared: bool


def read_architecture(config: Mapping[str, object], file: str) -> Architecture:
    """Reads the sizes in `config`, the options in the item `special:model.yml` of the model file `file`.

    Raises `ModelFileError` for a network that is not supported.
    """
    _refuse_other_networks(config, file)
    shared = _read_tying(config, file)
    vocabularies = config.get("dim-vocabs")
    if not isinstance(vocabularies, list) or len(vocabularies) != 2:
        raise ModelFileError(file, f"dim-vocabs is {reprlib.repr(vocabularies)}; supported are two sizes")
    if shared and vocabularies[0] != vocabularies[1]:
        raise ModelFileError(
            file, f"dim-vocabs is {reprlib.repr(vocabularies)}; tied-embeddings-all needs two equal sizes"
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


def _refuse_other_networks(config: Mapping[str, object], file: str) -> None:
    for key, supported in _SUPPORTED.items():
        value = config.get(key, supported)
        if value != supported:
            raise ModelFileError(file, f"{key} is {reprlib.repr(value)}; supported is {supported!r}")
    for key, steps in _SUPPORTED_STEPS.items():
        value = config.get(key, steps)
        if not isinstance(value, str) or value.replace("d", "") != steps:
            raise ModelFileError(file, f"{key} is {reprlib.repr(value)}; supported is {steps!r}, with or without d")


def _read_tying(config: Mapping[str, object], file: str) -> bool:
    """Returns the option `tied-embeddings-all`: whether one matrix serves source, target and output.

    The other two tying options have no meaning if it is set. Raises `ModelFileError` for a combination that is not
    supported.
    """
    everything = config.get("tied-embeddings-all", True)
    if everything is True:
        return True
    target, source = config.get("tied-embeddings", False), config.get("tied-embeddings-src", False)
    if (everything, target, source) == (False, True, False):
        return False
    values = ", ".join(map(reprlib.repr, (everything, target, source)))
    raise ModelFileError(
        file,
        f"tied-embeddings-all, tied-embeddings and tied-embeddings-src are {values}; supported is the first, "
        "or the second alone",
    )


def _size(config: Mapping[str, object], key: str, most: int, file: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ModelFileError(file, f"{key} is {reprlib.repr(value)}; supported is 1 to {most}")
    return value
