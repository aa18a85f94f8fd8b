"""The process that converts a checkpoint: `python -m latimer_server.backends.huggingface.conversion_worker JOB`.

`conversion` starts it. It uses the libraries that read checkpoints and write CTranslate2's format. It opens no
network connection and runs no code of a checkpoint: `trust_remote_code` is False wherever a library has it, because
transformers otherwise asks the user at the terminal.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from latimer_server.backends.huggingface.families import FAMILIES

# The interval of checks that the parent process is alive.
_WATCH_SECONDS = 0.5
# The most memory of a conversion: a part for the libraries, and a multiple of the size of the files with weights.
# Weights of four bits become eight times as large in float32, of which the libraries hold up to two copies.
_LIBRARY_BYTES = 3 << 30
_BYTES_PER_STORED_BYTE = 20
# The endings of files with weights.
WEIGHTS = (".safetensors", ".bin", ".gguf")
# The small files of a checkpoint. The converted folder has copies of them, so that it is complete by itself.
KEPT = (
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
class ConversionJob:
    """The parameters of a conversion.

    `folder` holds the checkpoint. The conversion makes the folders `checkpoint` and `weights` in `output`. `gguf` is
    the path of the GGUF file that contains the checkpoint, or "". `only_unpack` makes only the files that
    transformers reads, without CTranslate2's.
    """

    folder: str
    gguf: str
    quantization: str
    output: str
    allow_pickle: bool
    only_unpack: bool

    def describe(self) -> str:
        """Returns the job as JSON, the command-line argument of the process."""
        return json.dumps(asdict(self))


def lacks_tokenizer(folder: Path) -> bool:
    """True if a checkpoint has no `tokenizer.json`, but a vocabulary from which transformers makes one.

    Marian and M2M-100 have no `tokenizer.json` and need none.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "tokenizer.json" in names or {"vocab.json", "sentencepiece.bpe.model"} <= names:
        return False
    return bool(names & {"spiece.model", "sentencepiece.bpe.model", "merges.txt", "tokenizer.model"})


def _convert(job: ConversionJob) -> None:
    output = Path(job.output)
    source = Path(job.folder)
    if job.gguf:
        source = _unpack(Path(job.gguf), output / "checkpoint")
    if not (job.gguf and job.only_unpack):
        _write_tokenizer(source, output / "checkpoint")
    if not job.only_unpack:
        _write_weights(source, output / "weights", job)
        for path in (output / "checkpoint").iterdir():
            if path.suffix in WEIGHTS:
                path.unlink()


def _unpack(gguf: Path, target: Path) -> Path:
    """Writes a checkpoint with float32 safetensors from a GGUF file, and returns its folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    names = {"gguf_file": gguf.name, "local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **names)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, quantization_config=GgufConfig(dequantize=True), **names)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def _write_tokenizer(source: Path, target: Path) -> None:
    """Copies the small files of a checkpoint (`KEPT`) to `target`, and makes a `tokenizer.json` if it needs one."""
    target.mkdir(exist_ok=True)
    for name in KEPT:
        if (source / name).is_file() and source != target:
            shutil.copyfile(source / name, target / name)
    if not lacks_tokenizer(source):
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"))


def _write_weights(source: Path, target: Path, job: ConversionJob) -> None:
    from ctranslate2.converters import TransformersConverter

    class _Converter(TransformersConverter):  # type: ignore[misc]  # the library has no types
        def load_model(self, model_class: type, name: str, **keys: object) -> object:
            keys |= {"local_files_only": True, "trust_remote_code": False}
            keys |= {"use_safetensors": None if job.allow_pickle else True}
            model, report = model_class.from_pretrained(name, output_loading_info=True, **keys)  # type: ignore[attr-defined]
            wrong = sorted(map(str, {*(report.get("missing_keys") or ()), *(report.get("mismatched_keys") or ())}))
            if wrong:  # transformers initialises missing weights at random
                raise ValueError(f"the weights do not fit config.json: {wrong[0]} and {len(wrong) - 1} more")
            config = model.config
            family = FAMILIES.get(config.model_type)
            for key, value in (family.missing_defaults if family else {}).items():
                if not hasattr(config, key):
                    setattr(config, key, value)
            if family and family.scales_logits:
                # The converter scales the logits if embeddings are tied. transformers 5 marks them as tied in every
                # T5, although only the first version scales them (`scale_decoder_outputs`). Without this line beam
                # search with FLAN-T5 and mT5 gives wrong outputs; greedy search does not.
                config.tie_word_embeddings = getattr(config, "scale_decoder_outputs", False)
            return model

        def load_tokenizer(self, tokenizer_class: type, name: str, **keys: object) -> object:
            keys |= {"local_files_only": True, "trust_remote_code": False}
            return tokenizer_class.from_pretrained(name, **keys)  # type: ignore[attr-defined]

    converter = _Converter(str(source), low_cpu_mem_usage=True)
    converter.convert(str(target), quantization=None if job.quantization == "float32" else job.quantization)


def _limit_memory(job: ConversionJob) -> None:
    """Bounds the memory of this process by the size of the checkpoint, whatever its configuration describes, and makes
    it the first that the kernel ends when memory is short."""
    files = [Path(job.gguf)] if job.gguf else [path for path in Path(job.folder).iterdir() if path.suffix in WEIGHTS]
    most = _LIBRARY_BYTES + _BYTES_PER_STORED_BYTE * sum(path.stat().st_size for path in files if path.is_file())
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    with suppress(OSError):  # a system without /proc
        Path("/proc/self/oom_score_adj").write_text("1000")


def _end_with(parent: int) -> None:
    """Waits until the process `parent` has ended, then ends this one: a parent that is killed cannot do it."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _main(arguments: list[str]) -> int:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    keys: Mapping[str, object] = json.loads(arguments[0])
    try:
        job = ConversionJob(**keys)  # type: ignore[arg-type]
        _limit_memory(job)
        _convert(job)
    except MemoryError:
        print("it needs more memory than the size of its files allows", file=sys.stderr)  # noqa: T201
        return 1
    except Exception as error:  # noqa: BLE001 (the parent reads the last line)
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
