"""What runs models. Each backend's libraries are imported only when a model of its kind is loaded."""

from __future__ import annotations

from latimer_server.backends.base import Backend, LoadRequest
from latimer_server.errors import ModelError


def load_backend(request: LoadRequest) -> Backend:
    """Loads a model by the backend that the request names.

    Raises `ModelFileError` naming the file at fault, `ModelError` for a backend that there is not.
    """
    if request.backend == "marian_student":
        from latimer_server.backends import marian_student

        return marian_student.load_backend(request.files, request.threads)
    if request.backend == "extractive":
        from latimer_server.backends.extractive import ExtractiveRanker

        return ExtractiveRanker()
    raise ModelError(f"there is no backend {request.backend!r}; there are extractive and marian_student")
