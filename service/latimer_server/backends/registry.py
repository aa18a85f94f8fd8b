"""The table of backends, and the functions that load a model with one of them.

The module of a backend, and with it the backend's libraries, is imported only when a model needs it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from latimer_server.backends.protocol import Backend, LoadRequest
from latimer_server.core.errors import ModelError, ModelFileError

_log = logging.getLogger(__name__)

# The backend name of catalogue entries that let the server choose CTranslate2 or transformers for a checkpoint in the
# layout of the Hugging Face hub.
_AUTO = "auto"
# The backend that loads a model if the one that `auto` chose cannot.
_FALLBACK = "transformers"


@dataclass(frozen=True)
class BackendEntry:
    """One row of the table of backends.

    `module` is the module's dotted name below `latimer_server.backends`. The module offers `load(request) -> Backend`,
    and, where `prepares` is true, `prepare(request) -> bool` (see `prepare_model`). `compute_types` are the types that
    a request may name; if it is empty, the module's `load` checks the type itself.
    """

    name: str
    module: str
    prepares: bool = False
    compute_types: tuple[str, ...] = ()

    def load(self, request: LoadRequest) -> Backend:
        """Imports the module and loads the model. Raises `ModelError` for a type that `compute_types` does not list."""
        if self.compute_types and request.compute_type not in ("", *self.compute_types):
            raise ModelError(
                f"compute_type {request.compute_type!r} is not supported by {self.name}; use one of "
                f"{', '.join(self.compute_types)}"
            )
        load: Callable[[LoadRequest], Backend] = self._import().load
        return load(request)

    def prepare(self, request: LoadRequest) -> bool:
        """Converts the model's files in advance (see `prepare_model`).

        Returns True if there was anything to convert; always False for a backend whose `prepares` is False.
        """
        if not self.prepares:
            return False
        prepare: Callable[[LoadRequest], bool] = self._import().prepare
        return prepare(request)

    def _import(self) -> ModuleType:
        return import_module(f"latimer_server.backends.{self.module}")


_TABLE = {
    entry.name: entry
    for entry in (
        BackendEntry("ctranslate2", "huggingface.ctranslate2", prepares=True),
        BackendEntry("extractive", "extractive", compute_types=("float64",)),
        BackendEntry("marian_student", "marian.student"),
        BackendEntry("transformers", "huggingface.transformers"),
    )
}
BACKENDS = tuple(sorted({_AUTO, *_TABLE}))


def load_backend(request: LoadRequest) -> Backend:
    """Loads a model with the backend that the request names.

    `auto` chooses CTranslate2 or transformers. It loads with transformers if CTranslate2 cannot load the model for
    another reason than a bad file. Raises `ModelFileError` naming a bad file, and `ModelError` for an unknown backend
    or another failure.
    """
    name = _choose(request)
    try:
        return _find_entry(name).load(request)
    except ModelFileError:
        raise
    except ModelError as error:
        if request.backend != _AUTO or name == _FALLBACK or request.cancelled():
            raise
        keys = {"model": request.name, "backend": _FALLBACK, "reason": str(error)}
        _log.warning("backend chosen after another failed", extra=keys)
    return _find_entry(_FALLBACK).load(request)


def prepare_model(request: LoadRequest) -> bool:
    """Converts a model's files in advance and keeps the result in `request.cache`, so that a later load is quick.

    Returns True if there was anything to convert. Raises the errors of `load_backend`, except that an unknown backend
    has nothing to convert.
    """
    entry = _TABLE.get(_choose(request))
    return entry is not None and entry.prepare(request)


def verify_prepared(request: LoadRequest) -> None:
    """Recomputes the digests of the converted files in `request.cache`, and compares them with their record.

    Raises `ModelFileError` naming the first file that is missing or changed.
    """
    from latimer_server.backends.huggingface.conversion import verify_conversion

    verify_conversion(request)


def _find_entry(name: str) -> BackendEntry:
    entry = _TABLE.get(name)
    if entry is None:
        raise ModelError(f"there is no backend {name!r}; there are {', '.join(BACKENDS)}")
    return entry


def _choose(request: LoadRequest) -> str:
    """Returns the name of the backend of a request; for `auto` the one that `choose_backend` returns."""
    if request.backend != _AUTO:
        return request.backend
    from latimer_server.backends.huggingface.selection import choose_backend

    choice = choose_backend(request)
    _log.info("backend chosen", extra={"model": request.name, "backend": choice.backend, "reason": choice.reason})
    return choice.backend
