"""Shared by the tests of the hub: a model in the hub's layout and its catalogue entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latimer_server.models.catalog.entry import CatalogEntry, Task

WEIGHTS = bytes(range(256)) * 400
MARIAN = {
    "config.json": b'{"model_type": "marian"}',
    "generation_config.json": b"{}",
    "tokenizer_config.json": b'{"source_lang": "en"}',
    "vocab.json": b'{"</s>": 0}',
    "source.spm": b"source pieces",
    "target.spm": b"target pieces",
    "model.safetensors": WEIGHTS,
}


def nothing(*_: object) -> None:
    """Ignores progress reports."""


def entry(source: str = "hub:owner/good", name: str = "good", **keys: Any) -> CatalogEntry:
    return CatalogEntry(
        name=name, task=Task.TRANSLATION, family="marian", backend="auto", source=source, license="MIT", **keys
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()
