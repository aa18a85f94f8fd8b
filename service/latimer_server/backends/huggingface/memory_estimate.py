"""Estimates the memory of a model before it is loaded, from the sizes of its files. The result is approximate.

Reads file sizes and `config.json` only. Imports no model library.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from latimer_server.backends.huggingface.config import read_json
from latimer_server.backends.huggingface.conversion import find_conversion
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.errors import ModelFileError

# The endings of files with weights.
_WEIGHTS = (".safetensors", ".bin", ".npz", ".gguf")
# Bytes of one weight, by the type names of configurations and catalogues.
_WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1}
# The default compute type of each backend on the CPU and on a GPU.
_DEFAULT_TYPES = {"ctranslate2": ("int8", "float16"), "transformers": ("float32", "float16")}


def estimate_bytes(request: LoadRequest) -> int:
    """Returns the bytes of weights that a model will hold in memory.

    Measures the converted files if there are any. Otherwise measures the model's own files and scales their size from
    the type in which they are stored to the compute type. A GGUF file, and any file of a backend without a known
    default type, counts with its own size.
    """
    size = _measure(request.files.values()) or (0 if request.files else _measure(_list(request.folder)))
    if request.backend == "marian_student":
        # The file of a student is int8, and so is the computation on the CPU.
        kind = request.compute_type or ("float32" if request.device == "cuda" else "int8")
        return size * _WIDTHS.get(kind, 1)
    backend = "ctranslate2" if request.backend == "auto" else request.backend
    if backend not in _DEFAULT_TYPES:
        return size
    on_cpu, on_gpu = _DEFAULT_TYPES[backend]
    kinds = [request.compute_type] if request.compute_type else [on_cpu, on_gpu][request.device == "cuda" :]
    converted = [find_conversion(request.cache, kind) for kind in (kinds if backend == "ctranslate2" else ["unpacked"])]
    for folder in filter(None, converted):
        with suppress(OSError):  # another process replaces it
            return _measure(folder.rglob("*"))
    if any(path.suffix == ".gguf" for path in request.files.values()):
        return size
    return size * _WIDTHS.get(kinds[0].partition("_")[0], 4) // _read_width(request)


def _read_width(request: LoadRequest) -> int:
    """Returns the bytes of one weight in the checkpoint's files; those of float32 if `config.json` gives no type."""
    try:
        config = read_json(request.folder / "config.json")
    except ModelFileError:
        return _WIDTHS["float32"]
    return _WIDTHS.get(str(config.get("dtype") or config.get("torch_dtype")), _WIDTHS["float32"])


def _list(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _measure(paths: Iterable[Path]) -> int:
    """Returns the total size in bytes of those files among `paths` that hold weights."""
    return sum(map(_measure_file, (path for path in paths if path.suffix in _WEIGHTS)))


def _measure_file(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
