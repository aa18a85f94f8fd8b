"""Runs one process of slimt, an engine in C++: reads and writes JSON lines.

    slimt.py LIBRARY FOLDER WORKERS

Runs in the separate environment of the peers. LIBRARY is the extension in slimt's wheel; the package around it reads a
registry of models from the network when it is imported. FOLDER holds the model's files, the same that our server loads.
The lines are those of `wheels.py`. slimt batches the texts of a call and spreads them over its workers. It
holds Python's lock meanwhile, so all requests that have arrived become one call.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_VERSION = "0.1.0"  # of `requirements-peers.txt`
_INPUT = 0
# The instruction sets that the wheel has kernels for (gemmology's), the best first, with the flag of the processor.
_KERNELS = {"avx512bw": "avx512bw", "avx2": "avx2", "ssse3": "ssse3"}


def load_native(path: str) -> Any:  # noqa: ANN401
    """Loads the extension by its path."""
    spec = importlib.util.spec_from_file_location("_slimt", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_requests() -> Iterator[list[dict[str, Any]]]:
    """Yields all requests that have arrived, at least one, until the input ends."""
    os.set_blocking(_INPUT, False)
    buffer, ended = b"", False
    while not ended:
        select.select([_INPUT], [], [])
        try:
            while part := os.read(_INPUT, 1 << 20):
                buffer += part
            ended = True
        except BlockingIOError:
            pass
        *lines, buffer = buffer.split(b"\n")
        if lines:
            yield [json.loads(line) for line in lines]


def find_kernels() -> str:
    """Returns the best instruction set of this processor that slimt has kernels for. slimt uses it without telling."""
    text = Path("/proc/cpuinfo").read_text("utf-8")
    flags = next((set(line.split()) for line in text.splitlines() if line.startswith("flags")), set())
    return next((name for name, flag in _KERNELS.items() if flag in flags), "unknown")


def serve(library: str, folder: Path, workers: int) -> None:
    """Answers requests until the input ends."""
    native = load_native(library)
    service = native.Service(workers=workers, cache_size=0)
    files = {
        name: str(next(folder.glob(f"{kind}.*")))
        for name, kind in (("model", "model"), ("vocabulary", "vocab"), ("shortlist", "lex"))
    }
    model = native.Model(native.preset.tiny(), native.Package(**files))
    write({"version": _VERSION, "computes": f"int8, {find_kernels()}"})
    for requests in read_requests():
        texts = [text for request in requests for text in request["texts"]]
        started = time.perf_counter()
        outputs = [response.target.text for response in service.translate(model, texts)]
        seconds = time.perf_counter() - started
        for request in requests:
            count = len(request["texts"])
            write({"id": request["id"], "texts": outputs[:count], "seconds": [seconds] * count})
            del outputs[:count]


def write(message: dict[str, Any]) -> None:
    """Writes one line of JSON."""
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
