"""The table of backends: every row names a module that offers its functions, and unknown names are refused."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from latimer_server.backends import registry
from latimer_server.backends.protocol import Backend, LoadRequest
from latimer_server.backends.registry import BACKENDS, BackendEntry, load_backend, prepare_model
from latimer_server.core.errors import ModelError, ModelFileError
from tests.fakes import EchoBackend


def ask(backend: str) -> LoadRequest:
    return LoadRequest("m", backend, "translation", Path())


@pytest.mark.parametrize("entry", registry._TABLE.values(), ids=lambda entry: entry.name)
def test_the_module_of_a_backend_offers_its_functions(entry: BackendEntry) -> None:
    spec = find_spec(f"latimer_server.backends.{entry.module}")  # reads the source: an import would load the libraries
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "load" in functions
    assert ("prepare" in functions) == entry.prepares


def test_an_unknown_backend_is_refused_by_name() -> None:
    assert BACKENDS == ("auto", "ctranslate2", "extractive", "marian_student", "transformers")
    with pytest.raises(ModelError, match=f"there is no backend 'typo'; there are {', '.join(BACKENDS)}"):
        load_backend(ask("typo"))
    assert not prepare_model(ask("typo"))
    assert not prepare_model(ask("extractive"))


@pytest.mark.parametrize(
    ("backend", "error", "loaded"),
    [
        ("auto", ModelError("cannot"), ["ctranslate2", "transformers"]),
        ("auto", ModelFileError("file", "is bad"), ["ctranslate2"]),
        ("ctranslate2", ModelError("cannot"), ["ctranslate2"]),
    ],
)
def test_only_auto_loads_with_transformers_after_ctranslate2_failed(
    monkeypatch: pytest.MonkeyPatch, backend: str, error: ModelError, loaded: list[str]
) -> None:
    tried = []

    def load(entry: BackendEntry, request: LoadRequest) -> Backend:
        tried.append(entry.name)
        if entry.name == "ctranslate2":
            raise error
        return EchoBackend()

    monkeypatch.setattr(BackendEntry, "load", load)
    monkeypatch.setattr(registry, "_choose", lambda _request: "ctranslate2")
    if len(loaded) == 1:
        with pytest.raises(type(error)):
            load_backend(ask(backend))
    else:
        load_backend(ask(backend))
    assert tried == loaded
