"""Writes small files in Marian's formats, of any shape, valid or invalid."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import yaml

FLOAT32, INT8, INTGEMM8 = 0x404, 0x101, 0x4101
CONFIG: dict[str, object] = {
    "type": "transformer",
    "dec-cell": "ssru",
    "transformer-decoder-autoreg": "rnn",
    "transformer-ffn-activation": "relu",
    "transformer-postprocess": "dan",
    "transformer-preprocess": "",
    "tied-embeddings-all": True,
    "enc-depth": 1,
    "dec-depth": 1,
    "dim-emb": 8,
    "dim-vocabs": [20, 20],
    "transformer-heads": 2,
    "transformer-dim-ffn": 16,
}
Item = tuple[int, Sequence[int], bytes]


def floats(*values: float) -> Item:
    """Returns a float32 row."""
    return FLOAT32, (1, len(values)), np.array(values, "<f4").tobytes()


def matrix(rows: int, columns: int, seed: int = 0) -> Item:
    """Returns a random intgemm8 matrix with its quantization multiplier."""
    values = np.random.default_rng(seed).integers(-100, 100, rows * columns, dtype=np.int8)
    return INTGEMM8, (rows, columns), values.tobytes() + struct.pack("<f", 127.0)


def config_item(config: Mapping[str, object]) -> Item:
    """Returns the item `special:model.yml`, which holds the configuration."""
    text = yaml.safe_dump(dict(config)).encode() + b"\0"
    return INT8, (len(text),), text


def model_items(config: Mapping[str, object] | None = None) -> dict[str, Item]:
    """Returns all items of a student. `config` replaces keys of `CONFIG`."""
    config = {**CONFIG, **(config or {})}
    d, ffn, vocabulary = int(str(config["dim-emb"])), int(str(config["transformer-dim-ffn"])), config["dim-vocabs"]
    assert isinstance(vocabulary, list)
    items: dict[str, Item] = {"decoder_ff_logit_out_b": floats(*[0.0] * vocabulary[1])}
    if config["tied-embeddings-all"]:
        items["Wemb"] = matrix(vocabulary[0], d)
    else:
        items["encoder_Wemb"], items["decoder_Wemb"] = matrix(vocabulary[0], d), matrix(vocabulary[1], d, 3)

    def norm(name: str) -> None:
        items[f"{name}_scale"], items[f"{name}_bias"] = floats(*[1.0] * d), floats(*[0.0] * d)

    def attention(name: str) -> None:
        for seed, which in enumerate("qkvo"):
            items[f"{name}_W{which}"], items[f"{name}_b{which}"] = matrix(d, d, seed), floats(*[0.0] * d)
        norm(f"{name}_Wo_ln")

    def feed_forward(name: str) -> None:
        items[f"{name}_W1"], items[f"{name}_b1"] = matrix(d, ffn, 7), floats(*[0.0] * ffn)
        items[f"{name}_W2"], items[f"{name}_b2"] = matrix(ffn, d, 8), floats(*[0.0] * d)
        norm(f"{name}_ffn_ln")

    for layer in range(1, int(str(config["enc-depth"])) + 1):
        attention(f"encoder_l{layer}_self")
        feed_forward(f"encoder_l{layer}_ffn")
    for layer in range(1, int(str(config["dec-depth"])) + 1):
        items[f"decoder_l{layer}_rnn_W"] = matrix(d, d, 9)
        items[f"decoder_l{layer}_rnn_Wf"] = matrix(d, d, 10)
        items[f"decoder_l{layer}_rnn_bf"] = floats(*[0.0] * d)
        norm(f"decoder_l{layer}_rnn_ffn_ln")
        attention(f"decoder_l{layer}_context")
        feed_forward(f"decoder_l{layer}_ffn")
    items["special:model.yml"] = config_item(config)
    return items


def write_model(items: Mapping[str, Item]) -> bytes:
    """Returns the bytes of a model file: header, names, shapes, padding, data. The data of each item is padded to 256
    bytes with garbage."""
    header, names, shapes, data = b"", b"", b"", b""
    for name, (kind, shape, raw) in items.items():
        padded = raw + b"\xa5" * (-len(raw) % 256)
        encoded = name.encode() + b"\0"
        header += struct.pack("<4Q", len(encoded), kind, len(shape), len(padded))
        names += encoded
        shapes += struct.pack(f"<{len(shape)}i", *shape)
        data += padded
    head = struct.pack("<2Q", 1, len(items)) + header + names + shapes
    padding = -(len(head) + 8) % 256
    return head + struct.pack("<Q", padding) + b"\x5a" * padding + data


def write_shortlist(lists: Sequence[Sequence[int]], first: int = 3, magic: int = 0xF11A48D5013417F5) -> bytes:
    """Returns the bytes of a lexical shortlist. `lists`: the candidates of each source id. `first`: ids below it are
    candidates of every source id."""
    ids = [target for targets in lists for target in targets]
    offsets = np.cumsum([0, *map(len, lists)])
    head = struct.pack("<6Q", magic, 0, first, 50, len(offsets), len(ids))
    return head + offsets.astype("<u8").tobytes() + np.array(ids, "<u4").tobytes()
