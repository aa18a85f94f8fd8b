"""A checkpoint whose configuration describes more than its weights hold is refused before a library allocates it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from latimer_server.backends.huggingface.size_limits import check_sizes
from latimer_server.core.errors import ModelFileError

MARIAN = {
    "model_type": "marian", "vocab_size": 100, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "vocab_size": 100, "hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32,
    "num_attention_heads": 2, "max_position_embeddings": 1_000_000,
}  # fmt: skip


def write(folder: Path, config: dict[str, object], tensors: int = 8) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    save_file({f"layer{n}": np.zeros(16, np.float32) for n in range(tensors)}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("config", [MARIAN, LLAMA])
def test_sizes_that_fit_the_weights_pass(tmp_path: Path, config: dict[str, object]) -> None:
    check_sizes(write(tmp_path, config))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({**LLAMA, "num_hidden_layers": 10**6}, "num_hidden_layers is 1000000; at most 1000"),
        ({**LLAMA, "num_hidden_layers": 500}, "num_hidden_layers is 500; the files with weights have 8 tensors"),
        ({**MARIAN, "encoder_layers": 9}, "encoder_layers is 9; the files with weights have 8 tensors"),
        ({**MARIAN, "d_model": 1 << 22}, "d_model is 4194304; at most 131072"),
        ({**LLAMA, "intermediate_size": 1 << 40}, "intermediate_size is 1099511627776; at most"),
        ({**LLAMA, "num_attention_heads": 10**6}, "num_attention_heads is 1000000; at most 1024"),
        ({**LLAMA, "vocab_size": 4_000_000}, "describes at least"),
        ({**LLAMA, "hidden_size": 65_536, "intermediate_size": 65_536}, "describes at least"),
        ({**MARIAN, "max_position_embeddings": 10**9}, "max_position_embeddings is 1000000000; at most 4194304"),
    ],
)
def test_sizes_beyond_the_weights_are_refused_by_name(tmp_path: Path, config: dict[str, object], problem: str) -> None:
    with pytest.raises(ModelFileError, match=r"config\.json") as caught:
        check_sizes(write(tmp_path, config))
    assert problem in str(caught.value)


def test_weights_that_cannot_be_read_are_left_to_the_loader(tmp_path: Path) -> None:
    folder = write(tmp_path, {**LLAMA, "num_hidden_layers": 500})
    (folder / "model.safetensors").write_bytes(b"\xff" * 10_000_000)
    check_sizes(folder)
