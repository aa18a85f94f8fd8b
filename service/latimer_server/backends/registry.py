"""What runs models. Each backend's libraries are imported only when a model of its kind is loaded."""

from __future__ import annotations

import logging

from latimer_server.backends.devices import choose_device
from latimer_server.backends.protocol import Backend, LoadRequest
from latimer_server.core.errors import ModelError, ModelFileError

_log = logging.getLogger(__name__)

BACKENDS = ("auto", "ctranslate2", "extractive", "marian_student", "transformers")


def load_backend(request: LoadRequest) -> Backend:
    """Loads a model by the backend that the request names.

    Raises `ModelFileError` naming the file at fault, `ModelError` for a backend that there is not.
    """
    if request.backend == "marian_student":
        from latimer_server.backends.marian import student

        device = choose_device(request.device)
        return student.load_student(
            request.files, request.threads, request.max_input_tokens, device, request.compute_type
        )
    if request.backend == "extractive":
        from latimer_server.backends.extractive import ExtractiveRanker

        _check_type(request, ExtractiveRanker.compute_type)
        return ExtractiveRanker()
    name = _choose(request)
    if name == "ctranslate2":
        from latimer_server.backends.huggingface import ctranslate2

        try:
            return ctranslate2.load_ctranslate2(request)
        except ModelFileError:
            raise
        except ModelError as error:
            if request.backend != "auto" or request.cancelled():
                raise
            keys = {"model": request.name, "backend": "transformers", "reason": str(error)}
            _log.warning("backend chosen after another failed", extra=keys)
            name = "transformers"
    if name == "transformers":
        from latimer_server.backends.huggingface import transformers

        return transformers.load_transformers(request)
    raise ModelError(f"there is no backend {name!r}; there are {', '.join(BACKENDS)}")


def prepare_model(request: LoadRequest) -> bool:
    """Makes what a backend needs of a model's files and keeps it in `request.cache`, so that loading it is quick.
    Whether there was anything to make. Raises what `load_backend` raises."""
    if request.backend not in ("auto", "ctranslate2") or _choose(request) != "ctranslate2":
        return False
    from latimer_server.backends.huggingface import ctranslate2

    return ctranslate2.prepare_model(request)


def verify_prepared(request: LoadRequest) -> None:
    """Recomputes the digests of what was made of a model's files. Raises `ModelFileError` naming the first file
    that is missing or changed."""
    from latimer_server.backends.huggingface.conversion import verify_conversion

    verify_conversion(request)


def _check_type(request: LoadRequest, only: str) -> None:
    """Raises `ModelError` where the request wants another compute type than the one that there is."""
    if request.compute_type not in ("", only):
        raise ModelError(f"compute_type {request.compute_type!r} is none of {request.backend}'s; it computes in {only}")


def _choose(request: LoadRequest) -> str:
    if request.backend != "auto":
        return request.backend
    from latimer_server.backends.huggingface.selection import choose_backend

    choice = choose_backend(request)
    _log.info("backend chosen", extra={"model": request.name, "backend": choice.backend, "reason": choice.reason})
    return choice.backend
