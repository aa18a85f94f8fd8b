"""What runs models. Each backend's libraries are imported only when a model of its kind is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from latimer_server.backends.base import Backend
from latimer_server.errors import ModelError


def load_backend(name: str, files: Mapping[str, Path], threads: int) -> Backend:
    """Loads a model's files by the backend of this name. `threads`: cores that one batch may use.

    Raises `ModelFileError` naming the file at fault, `ModelError` for a backend that there is not.
    """
    if name == "marian_student":
        from latimer_server.backends import marian_student

        return marian_student.load_backend(files, threads)
    if name == "extractive":
        from latimer_server.backends.extractive import ExtractiveRanker

        return ExtractiveRanker()
    raise ModelError(f"there is no backend {name!r}; there are extractive and marian_student")
