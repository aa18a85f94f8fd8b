"""Kept weights of the trained checkpoints, so that tests need not train them: minutes of two cores.

`python -m tests.trained` trains what has changed and keeps its weights. They are rounded to float16 in any case: a
checkpoint is the same with and without training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel

Rows = Sequence[tuple[Sequence[int], Sequence[int]]]
KEPT = Path(__file__).parent / "weights"
# Where a training on this machine leaves its weights.
LEARNED = Path(__file__).parent.parent / ".cache"


class KeptWeights:
    """The weights of one training. `settings`: all that it depends on besides the model's sizes and the rows."""

    def __init__(self, name: str, model: PreTrainedModel, rows: Rows, settings: tuple[object, ...]) -> None:
        self._file = f"{name}.safetensors"
        self._model = model
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        recipe = repr((shapes, [tuple(map(tuple, row)) for row in rows], settings))
        self._digest = hashlib.sha256(recipe.encode()).hexdigest()

    def load(self) -> bool:
        """Gives the model its kept weights. Returns False if there are none of this training."""
        return any((folder / self._file).exists() and self._load(folder / self._file) for folder in (KEPT, LEARNED))

    def save(self) -> None:
        """Keeps the weights of the model on this machine."""
        tensors, seen = {}, set()
        for key, value in self._model.state_dict().items():
            if value.data_ptr() not in seen:  # tied weights are one tensor
                seen.add(value.data_ptr())
                tensors[key] = value.to(torch.float16).contiguous()
        save_file(tensors, LEARNED / self._file, {"recipe": self._digest})

    def _load(self, file: Path) -> bool:
        with safe_open(file, "pt") as found:
            if found.metadata().get("recipe") != self._digest:
                return False
            weights = {key: found.get_tensor(key).float() for key in found.keys()}  # noqa: SIM118 (no mapping)
        self._model.load_state_dict(weights, strict=False)
        return True
