"""Converts checkpoints to CTranslate2's format, once, into a folder that appears as a whole.

The conversion runs in a process of its own (`python -m latimer_server.backends.conversion`): it needs several
times the model's memory and a second team of torch's threads, which would slow every later batch. Reads no
network and runs no code of a checkpoint's own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from latimer_server.backends.base import LoadRequest
from latimer_server.errors import ModelError

_log = logging.getLogger(__name__)

_LAYOUT = 2
_SAMPLE_BYTES = 1 << 20
_WEIGHTS = (".safetensors", ".bin", ".gguf")
# What published configurations carry and those that transformers 5 writes do not; the converter asks for it.
_UNWRITTEN: Mapping[str, Mapping[str, bool]] = {
    "bart": {"normalize_before": False},
    "mbart": {"normalize_before": True},
    "pegasus": {"normalize_before": True, "normalize_embedding": False},
}
# Small files that go with a checkpoint; the converted folder has its own copies, so that it stands alone.
_KEPT = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "source.spm",
    "target.spm",
    "sentencepiece.bpe.model",
    "tokenizer.json",
)


@dataclass(frozen=True)
class Converted:
    """A converted model: CTranslate2's own files, and the checkpoint's small ones."""

    weights: Path
    checkpoint: Path


@dataclass(frozen=True)
class _Job:
    folder: str
    gguf: str
    quantization: str
    output: str
    allow_pickle: bool
    only_unpack: bool


def is_converted(request: LoadRequest, quantization: str) -> bool:
    """Whether `convert` has nothing to do."""
    return request.cache is not None and _place(request, request.cache, quantization).is_dir()


def convert(request: LoadRequest, quantization: str) -> Converted:
    """The model in CTranslate2's format; converts it first if that was not done yet.

    Raises `ModelError` saying what the conversion choked on, or that there is no room or right to write.
    """
    folder = _make(request, quantization, only_unpack=False)
    return Converted(folder / "weights", folder / "checkpoint")


def prepare_checkpoint(request: LoadRequest) -> Path:
    """The folder of the checkpoint as transformers reads it: its own, or one made of a GGUF file, or of one
    that lacks a `tokenizer.json`. Raises `ModelError` as `convert` does."""
    complete = any((request.folder / name).is_file() for name in ("tokenizer.json", "vocab.json"))
    return request.folder if complete else _make(request, "", only_unpack=True) / "checkpoint"


def _make(request: LoadRequest, quantization: str, *, only_unpack: bool) -> Path:
    if request.cache is None:
        raise ModelError("has no folder for the converted model")
    target = _place(request, request.cache, quantization)
    if target.is_dir():
        return target
    try:
        request.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=request.cache) as scratch:
            output = Path(scratch) / "made"
            output.mkdir()
            _log.info("converting", extra={"model": request.name, "quantization": quantization})
            gguf = next((str(path) for path in request.files.values() if path.suffix == ".gguf"), "")
            _run(
                _Job(str(request.folder), gguf, quantization, str(output), request.allow_pickle, only_unpack),
                Path(scratch),
            )
            try:
                output.rename(target)
            except OSError:
                if not target.is_dir():  # else another process was faster, with the same result
                    raise
    except OSError as error:
        raise ModelError(f"{request.cache}: cannot be written: {error.strerror or error}") from error
    _forget_old(request.cache, target)
    return target


def _place(request: LoadRequest, cache: Path, quantization: str) -> Path:
    return cache / f"{_fingerprint(request)}-{quantization or 'unpacked'}"


def _run(job: _Job, scratch: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TMPDIR": str(scratch)}
    done = subprocess.run(
        [sys.executable, "-m", "latimer_server.backends.conversion", json.dumps(asdict(job))],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ModelError(f"could not be converted: {lines[-1][:500] if lines else f'exit {done.returncode}'}")


def _fingerprint(request: LoadRequest) -> str:
    """What the result depends on: the checkpoint's files and the converter. Copies of a store keep it: names,
    sizes, and the ends of large files, not times."""
    digest = hashlib.sha256(f"{_LAYOUT} {version('ctranslate2')}".encode())
    for path in sorted(_list_files(request)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _list_files(request: LoadRequest) -> Iterable[Path]:
    named = set(request.files.values())
    wanted = (path for path in request.folder.iterdir() if path.name in _KEPT or path.suffix in _WEIGHTS)
    return named | {path for path in wanted if path.is_file()} if request.folder.is_dir() else named


def _forget_old(cache: Path, current: Path) -> None:
    """Removes what was made from other files or by another version, for the same type."""
    kind = current.name.partition("-")[2]
    for folder in cache.glob(f"*-{kind}"):
        if folder != current:
            shutil.rmtree(folder, ignore_errors=True)


# --- in the process of its own ---------------------------------------------------------------------------------


def _convert(job: _Job) -> None:
    output = Path(job.output)
    source = Path(job.folder)
    if job.gguf:
        source = _unpack(Path(job.gguf), output / "checkpoint")
    if job.only_unpack:
        if not job.gguf:
            _write_tokenizer(source, output / "checkpoint")
            for path in source.iterdir():
                if path.suffix in _WEIGHTS or path.name.endswith(".index.json"):
                    (output / "checkpoint" / path.name).symlink_to(path.resolve())
    else:
        _write_tokenizer(source, output / "checkpoint")
        _write_weights(source, output / "weights", job)
        for path in (output / "checkpoint").iterdir():
            if path.suffix in _WEIGHTS:
                path.unlink()
    for path in sorted(output.rglob("*")):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def _unpack(gguf: Path, target: Path) -> Path:
    """A checkpoint with float32 safetensors from a GGUF file. 4-bit weights need no more than they say."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    names = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **names)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, quantization_config=GgufConfig(dequantize=True), **names)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def _write_tokenizer(source: Path, target: Path) -> None:
    """The small files, and a `tokenizer.json` where the checkpoint has only SentencePiece's."""
    target.mkdir(exist_ok=True)
    for name in _KEPT:
        if (source / name).is_file() and source != target:
            shutil.copyfile(source / name, target / name)
    if (target / "tokenizer.json").is_file() or (target / "vocab.json").is_file():
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"))


def _write_weights(source: Path, target: Path, job: _Job) -> None:
    from ctranslate2.converters import TransformersConverter

    class _Converter(TransformersConverter):  # type: ignore[misc]  # the library has no types
        def load_model(self, model_class: type, name: str, **keys: object) -> object:
            keys |= {"local_files_only": True, "use_safetensors": None if job.allow_pickle else True}
            model = super().load_model(model_class, name, **keys)
            config = model.config
            for key, value in _UNWRITTEN.get(config.model_type, {}).items():
                if not hasattr(config, key):
                    setattr(config, key, value)
            if config.model_type in ("t5", "mt5"):
                # The converter scales the logits where embeddings are tied. transformers 5 calls them tied in
                # every T5 (that only the first version scales, it keeps elsewhere): FLAN-T5's and mT5's beams
                # would go astray, their greedy search would not show it.
                config.tie_word_embeddings = getattr(config, "scale_decoder_outputs", False)
            return model

    converter = _Converter(str(source), low_cpu_mem_usage=True)
    converter.convert(str(target), quantization=None if job.quantization == "float32" else job.quantization)


def _main(arguments: list[str]) -> int:
    keys: Mapping[str, object] = json.loads(arguments[0])
    try:
        _convert(_Job(**keys))  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 (the parent reads the last line)
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
