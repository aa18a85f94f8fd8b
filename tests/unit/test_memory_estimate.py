"""Tests of the memory estimate of a model: it counts exactly the files that will be loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latimer_server.backends.huggingface.memory_estimate import estimate_bytes
from latimer_server.backends.protocol import LoadRequest


def lay(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"w" * size)
    return path


def ask(folder: Path, backend: str, **keys: Any) -> LoadRequest:
    return LoadRequest("m", backend, "translation", folder / "model", cache=folder / ".made" / "m", **keys)


@pytest.mark.parametrize(
    ("backend", "keys", "dtype", "expected"),
    [
        ("auto", {}, None, 100),
        ("ctranslate2", {}, None, 100),
        ("ctranslate2", {"device": "cuda"}, None, 200),
        ("ctranslate2", {"compute_type": "float32"}, None, 400),
        ("ctranslate2", {"compute_type": "int8_float32"}, None, 100),
        ("ctranslate2", {}, "bfloat16", 200),
        ("transformers", {}, None, 400),
        ("transformers", {}, "float16", 800),
        ("transformers", {"device": "cuda"}, "float16", 400),
        ("marian_student", {}, None, 400),
        ("marian_student", {"device": "cuda"}, None, 1_600),
        ("marian_student", {"compute_type": "float32"}, None, 1_600),
        ("another", {}, None, 400),
    ],
)
def test_an_unconverted_checkpoint_counts_in_its_final_compute_type(
    tmp_path: Path, backend: str, keys: dict[str, Any], dtype: str | None, expected: int
) -> None:
    lay(tmp_path / "model" / "model.safetensors", 400)
    lay(tmp_path / "model" / "tokenizer.json", 5_000)
    (tmp_path / "model" / "config.json").write_text(json.dumps({"torch_dtype": dtype} if dtype else {}))
    assert estimate_bytes(ask(tmp_path, backend, **keys)) == expected


def test_only_the_conversion_that_will_be_loaded_counts(tmp_path: Path) -> None:
    weights = lay(tmp_path / "model" / "model.safetensors", 400)
    made = tmp_path / ".made" / "m"
    lay(made / "0123-int8" / "weights" / "model.bin", 110)
    lay(made / "0123-int8" / "checkpoint" / "tokenizer.json", 5_000)
    lay(made / "0123-float32" / "weights" / "model.bin", 405)
    lay(made / ".new-killed" / "made" / "weights" / "model.bin", 10_000)
    (made / "0123-unpacked" / "checkpoint").mkdir(parents=True)
    (made / "0123-unpacked" / "checkpoint" / "model.safetensors").symlink_to(weights)
    assert estimate_bytes(ask(tmp_path, "auto")) == 110
    assert estimate_bytes(ask(tmp_path, "ctranslate2", compute_type="float32")) == 405
    assert estimate_bytes(ask(tmp_path, "transformers")) == 400
