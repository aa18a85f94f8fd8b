"""What a model will take in memory, by its files, before it is loaded: the right size, not the exact one.

Reads sizes and a `config.json`, and imports no model library.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from latimer_server.backends.huggingface.config import read_json
from latimer_server.backends.huggingface.conversion import find_conversion
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.errors import ModelFileError

_WEIGHTS = (".safetensors", ".bin", ".npz", ".gguf")
# Bytes of a weight, by the names that configurations and catalogues have for its type.
_WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1}
# What each backend computes in where nothing is said, on the CPU and on a GPU.
_TYPES = {"ctranslate2": ("int8", "float16"), "transformers": ("float32", "float16")}


def estimate_bytes(request: LoadRequest) -> int:
    """The bytes of weights that a model will hold: of those that were made of its files where there are any, else
    of its own in the type that the backend will compute in."""
    own = _measure(request.files.values()) or (0 if request.files else _measure(_list(request.folder)))
    if request.backend == "marian_student":
        # Its file is int8, and so is it computed on the CPU.
        kind = request.compute_type or ("float32" if request.device == "cuda" else "int8")
        return own * _WIDTHS.get(kind, 1)
    backend = "ctranslate2" if request.backend == "auto" else request.backend
    if backend not in _TYPES:
        return own
    on_cpu, on_gpu = _TYPES[backend]
    kinds = [request.compute_type] if request.compute_type else [on_cpu, on_gpu][request.device == "cuda" :]
    made = [find_conversion(request.cache, kind) for kind in (kinds if backend == "ctranslate2" else ["unpacked"])]
    for folder in filter(None, made):
        with suppress(OSError):  # it is being made anew
            return _measure(folder.rglob("*"))
    if any(path.suffix == ".gguf" for path in request.files.values()):
        return own
    return own * _WIDTHS.get(kinds[0].partition("_")[0], 4) // _read_width(request)


def _read_width(request: LoadRequest) -> int:
    """The bytes that a weight takes in the checkpoint's files."""
    try:
        config = read_json(request.folder / "config.json")
    except ModelFileError:
        return _WIDTHS["float32"]
    return _WIDTHS.get(str(config.get("dtype") or config.get("torch_dtype")), _WIDTHS["float32"])


def _list(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _measure(paths: Iterable[Path]) -> int:
    """The bytes of weights among the files."""
    return sum(map(_measure_file, (path for path in paths if path.suffix in _WEIGHTS)))


def _measure_file(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
