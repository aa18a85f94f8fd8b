"""What runs models. Each backend's libraries are imported only when a model of its kind is loaded."""

from __future__ import annotations

import logging

from latimer_server.backends.base import Backend, LoadRequest
from latimer_server.errors import ModelError

_log = logging.getLogger(__name__)

BACKENDS = ("auto", "ctranslate2", "extractive", "marian_student", "transformers")


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
    name = request.backend
    if name == "auto":
        from latimer_server.backends.selection import choose_backend

        choice = choose_backend(request)
        name = choice.backend
        _log.info("backend chosen", extra={"model": request.name, "backend": name, "reason": choice.reason})
    if name == "ctranslate2":
        from latimer_server.backends import ctranslate2

        return ctranslate2.load_backend(request)
    if name == "transformers":
        from latimer_server.backends import transformers

        return transformers.load_backend(request)
    raise ModelError(f"there is no backend {name!r}; there are {', '.join(BACKENDS)}")
