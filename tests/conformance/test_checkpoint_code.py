"""Hostile checkpoints, read with the real libraries: no code of theirs runs, and none of it runs for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from latimer_server.backends.huggingface.config import read_hub_config
from latimer_server.backends.huggingface.conversion_worker import ConversionJob
from latimer_server.backends.huggingface.prompt import render_prompt
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.errors import ModelFileError

EVIL = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
class Evil: pass
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A checkpoint whose tokenizer is Python code. Running it leaves a file."""
    folder = tmp_path / "model"
    folder.mkdir()
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    texts = {
        "config.json": json.dumps({"model_type": "llama", "vocab_size": 8, "eos_token_id": 0, **sizes}),
        "tokenizer_config.json": json.dumps(
            {"tokenizer_class": "EvilTokenizer", "auto_map": {"AutoTokenizer": ["evil.Evil", None]}}
        ),
        "evil.py": EVIL,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def run_with_yes(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs code with `y` on its standard input. HF_HOME is set because transformers runs a copy of a checkpoint's code
    from there."""
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "HF_HOME": str(folder / "home")}
    return subprocess.run(command, input="y\n" * 20, capture_output=True, text=True, check=False, env=environment)


def test_the_code_of_a_checkpoints_tokenizer_never_runs(hostile: Path, tmp_path: Path) -> None:
    (hostile / "spiece.model").write_bytes(b"pieces")  # so that a tokenizer.json is to be made
    job = ConversionJob(str(hostile), "", "int8", str(tmp_path / "out"), allow_pickle=False, only_unpack=True)
    (tmp_path / "out").mkdir()
    code = (
        "import runpy, sys\n"
        "runpy.run_module('latimer_server.backends.huggingface.conversion_worker', run_name='__main__', alter_sys=True)"
    )
    done = run_with_yes(code, tmp_path, job.describe())
    assert not list(tmp_path.rglob("ran"))
    assert done.returncode == 1
    assert "custom code" in done.stderr


def test_the_library_that_converts_runs_no_code_of_a_checkpoint_either(hostile: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "folder = Path(sys.argv[1])\n"
        "config = (folder / 'config.json').read_bytes()\n"
        "LlamaForCausalLM(LlamaConfig.from_pretrained(folder)).save_pretrained(folder)\n"
        "(folder / 'config.json').write_bytes(config)\n"
        "from latimer_server.backends.huggingface.conversion_worker import ConversionJob, _write_weights\n"
        "job = ConversionJob(str(folder), '', 'float32', '', allow_pickle=False, only_unpack=False)\n"
        "_write_weights(folder, Path(sys.argv[2]), job)"
    )
    done = run_with_yes(code, tmp_path, str(hostile), str(tmp_path / "out"))
    assert (hostile / "model.safetensors").exists()
    assert not list(tmp_path.rglob("ran"))
    assert done.returncode == 1
    assert "custom code" in done.stderr


def test_a_chat_template_that_computes_for_hours_is_stopped(tmp_path: Path) -> None:
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    llama = {"model_type": "llama", "vocab_size": 100, "max_position_embeddings": 2048, "eos_token_id": 2}
    (tmp_path / "config.json").write_text(json.dumps(llama))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": endless}))
    request = LoadRequest("m", "auto", "summarization", tmp_path, prompt="Shorten.")
    with pytest.raises(ModelFileError, match="too much"):
        render_prompt(request, read_hub_config(tmp_path, "summarization"), tmp_path)
