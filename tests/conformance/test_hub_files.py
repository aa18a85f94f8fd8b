"""Tests of inconsistent checkpoints and failing conversions: errors name the file, and no partial files are left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from latimer_server.backends.huggingface.transformers import choose_torch_device, choose_type
from latimer_server.backends.protocol import GeneratorBackend, LoadRequest
from latimer_server.backends.registry import load_backend, prepare_model
from latimer_server.core.decoding import DecodingOptions, LanguagePair
from latimer_server.core.errors import ModelError, ModelFileError
from tests import little_languages, trained
from tests.conformance.hub import load, request, run, write

PAIR = LanguagePair("en", "pt")
MEANING = little_languages.draw_meanings(1, seed=77)[0]


def ask(folder: Path, backend: str, **keys: Any) -> LoadRequest:
    return request("marian", backend, folder.parent / "made", folder=folder, compute_type="float32", **keys)


def translate(loaded: Any) -> str:
    backend: GeneratorBackend = loaded
    (text,) = write(backend, run(backend, [MEANING.write("en")], PAIR))
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copies a valid checkpoint, which a test may damage."""
    return Path(shutil.copytree(trained.locate("marian"), tmp_path / "model"))


@pytest.mark.parametrize("backend", ["ctranslate2", "transformers"])
@pytest.mark.parametrize("name", ["vocab.json", "source.spm", "target.spm", "config.json"])
def test_a_missing_file_is_named(folder: Path, backend: str, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_backend(ask(folder, backend))


@pytest.mark.parametrize("backend", ["ctranslate2", "transformers"])
@pytest.mark.parametrize("name", ["vocab.json", "source.spm", "model.safetensors"])
def test_a_truncated_file_is_refused(folder: Path, backend: str, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError):
        load_backend(ask(folder, backend))
    made = folder.parent / "made"
    assert not made.exists() or not list(made.iterdir())


@pytest.mark.parametrize("backend", ["ctranslate2", "transformers"])
def test_a_vocabulary_that_does_not_fit_the_weights_is_refused(folder: Path, backend: str) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    (folder / "vocab.json").write_text(json.dumps(vocabulary | {"more": len(vocabulary)}), "utf-8")
    with pytest.raises(
        ModelFileError, match=r"vocab\.json: has \d+ tokens, the model \d+: they do not belong together"
    ):
        load_backend(ask(folder, backend))


def test_weights_that_do_not_fit_the_configuration_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_ffn_dim": 96}))
    with pytest.raises(ModelError):
        load_backend(ask(folder, "transformers"))


def test_weights_that_lack_a_layer_are_refused_and_not_initialized_at_random(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.decoder.layers.1.fc1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFileError, match=r"does not fit config\.json: .*decoder\.layers\.1\.fc1"):
        load_backend(ask(folder, "transformers"))
    with pytest.raises(ModelError):
        load_backend(ask(folder, "ctranslate2"))


def test_a_language_that_the_vocabulary_lacks_is_refused(tmp_path: Path) -> None:
    for backend in ("ctranslate2", "transformers"):
        load_request = request("marian-multi", backend, tmp_path, languages={"pt": "por", "de": "deu"})
        with pytest.raises(ModelFileError, match=r"vocab\.json: has no token >>deu<<"):
            load_backend(load_request)


def test_a_prompt_may_have_a_part_behind_the_text() -> None:
    rows = []
    for prompt in ("summarize: ", "summarize: {text} the bachi ."):
        loaded: Any = load_backend(request("t5", "ctranslate2", compute_type="float32", prompt=prompt))
        rows.append(loaded.encode(["the bachi ."], LanguagePair())[0].ids)
    before, around = rows
    assert around[: len(before) - 1] == before[:-1]
    assert around[-1] == before[-1]
    assert len(around) > len(before)


@pytest.mark.parametrize("backend", ["ctranslate2", "transformers"])
def test_a_language_token_that_the_checkpoint_forces_too_is_used_once(tmp_path: Path, backend: str) -> None:
    """Checkpoints that were fine-tuned for one language force its token as the first output token."""
    (expected,) = run(load("mbart50", "transformers"), [MEANING.write("en")], PAIR)
    folder = Path(shutil.copytree(trained.locate("mbart50"), tmp_path / "model"))
    path = folder / "generation_config.json"
    names = {t["content"]: t["id"] for t in json.loads((folder / "tokenizer.json").read_text("utf-8"))["added_tokens"]}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"forced_bos_token_id": names["pt_XX"]}))
    load_request = request("mbart50", backend, tmp_path / "made", folder=folder, compute_type="float32")
    loaded: Any = load_backend(load_request)
    (found,) = run(loaded, [MEANING.write("en")], PAIR)
    assert found.ids == expected.ids
    assert found.log_prob == pytest.approx(expected.log_prob, abs=1e-4)  # a second token would change the score


def pickle_weights(folder: Path, value: object = None) -> None:
    torch.save(value or load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("backend", ["ctranslate2", "transformers"])
def test_a_pickle_is_read_only_if_the_entry_allows_it(folder: Path, backend: str) -> None:
    expected = translate(load_backend(ask(folder, "transformers")))
    pickle_weights(folder)
    with pytest.raises(ModelError):
        load_backend(ask(folder, backend))
    assert translate(load_backend(ask(folder, backend, allow_pickle=True))) == expected


class Hostile:
    """An object whose unpickling creates a file, as malicious pickles run commands."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(__file__).parent / "hostile-pickle-ran",))


@pytest.mark.parametrize("backend", ["ctranslate2", "transformers"])
def test_an_allowed_pickle_still_runs_no_code(folder: Path, backend: str) -> None:
    pickle_weights(folder, {"model.shared.weight": Hostile()})
    with pytest.raises(ModelError):
        load_backend(ask(folder, backend, allow_pickle=True))
    assert not (Path(__file__).parent / "hostile-pickle-ran").exists()


def test_a_conversion_is_made_once_and_found_again_in_a_copy_of_the_store(folder: Path, tmp_path: Path) -> None:
    load_request = ask(folder, "ctranslate2")
    assert prepare_model(load_request)
    assert not prepare_model(load_request)
    (made,) = (folder.parent / "made").iterdir()
    before = (made / "weights" / "model.bin").stat().st_mtime_ns
    expected = translate(load_backend(load_request))
    assert (made / "weights" / "model.bin").stat().st_mtime_ns == before
    there = tmp_path / "there"
    shutil.copytree(folder.parent / "made", there / "made")
    shutil.copytree(folder, there / "model")
    for path in there.rglob("*"):
        path.touch()  # copied files have other modification times
    assert not prepare_model(ask(there / "model", "ctranslate2"))
    assert translate(load_backend(ask(there / "model", "ctranslate2"))) == expected


def test_changed_files_are_converted_again_and_the_old_conversion_is_removed(folder: Path) -> None:
    prepare_model(ask(folder, "ctranslate2"))
    (old,) = (folder.parent / "made").iterdir()
    weights = load_file(folder / "model.safetensors")
    weights["model.shared.weight"] = weights["model.shared.weight"] + 0.01
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert prepare_model(ask(folder, "ctranslate2"))
    (new,) = (folder.parent / "made").iterdir()
    assert new != old


def test_auto_chooses_transformers_if_the_disk_is_too_full_for_a_conversion(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = folder.parent / "made"
    blocked.write_text("a file where a folder should be")
    loaded: Any = load_backend(ask(folder, "auto"))
    assert loaded.compute_type == "float32"
    assert translate(loaded) == MEANING.write("pt")
    assert any("cannot be written" in str(getattr(record, "reason", "")) for record in caplog.records)
    with pytest.raises(ModelError, match="cannot be written"):
        load_backend(ask(folder, "ctranslate2"))


def test_a_server_that_runs_converted_models_imports_neither_torch_nor_transformers() -> None:
    load_request = request("marian", "auto", compute_type="float32")
    prepare_model(load_request)
    keys = {
        "name": "m", "backend": "auto", "task": "translation",
        "compute_type": "float32", "folder": str(load_request.folder), "cache": str(load_request.cache),
    }  # fmt: skip
    code = (
        "import sys, json\nfrom pathlib import Path\n"
        "from latimer_server.backends.registry import load_backend\n"
        "from latimer_server.backends.protocol import LoadRequest\n"
        "keys = json.loads(sys.argv[1])\n"
        "keys |= {'folder': Path(keys['folder']), 'cache': Path(keys['cache'])}\n"
        "load_backend(LoadRequest(**keys))\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(keys)], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_loading_opens_no_connection(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a socket was opened")

    prepare_model(ask(folder, "ctranslate2"))
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    for backend in ("ctranslate2", "transformers"):
        assert translate(load_backend(ask(folder, backend))) == MEANING.write("pt")


def test_the_compute_type_on_a_gpu_depends_on_the_family() -> None:
    assert choose_type("cpu", "t5") is torch.float32
    assert choose_type("cuda", "marian") is torch.float16
    assert choose_type("cuda", "mt5") is torch.bfloat16
    assert choose_type("cpu", "bart", "bfloat16") is torch.bfloat16
    with pytest.raises(ModelError, match="compute_type 'int8'"):
        choose_type("cpu", "bart", "int8")
    assert choose_torch_device("cpu") == "cpu"
    assert choose_torch_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_bfloat16_translates_too() -> None:
    loaded: Any = load_backend(request("marian", "transformers", compute_type="bfloat16"))
    assert loaded.compute_type == "bfloat16"
    assert translate(loaded) == MEANING.write("pt")
    (hypothesis,) = run(loaded, [MEANING.write("en")], PAIR, DecodingOptions(beam_size=2))
    assert hypothesis.log_prob <= 0
