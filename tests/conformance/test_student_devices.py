"""Tests of a student's device: the CPU without torch, or a GPU with torch and all tensors on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from latimer_server.backends import devices
from latimer_server.backends.devices import choose_device
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.torch_engine import MarianNetwork
from latimer_server.backends.protocol import LoadRequest
from latimer_server.backends.registry import load_backend
from latimer_server.core.errors import ModelError
from tests.marian_files import model_items, write_model
from tests.marian_students import TINY, make_student


def ask(folder: Path, device: str) -> LoadRequest:
    files = make_student(TINY, split=False, shortlist=True).write(folder)
    return LoadRequest("student", "marian_student", "translation", folder, files, device=device)


def test_all_tensors_of_a_step_are_on_the_device_of_the_weights() -> None:
    """Runs on torch's device `meta`, where a tensor on the CPU would raise an error."""
    network = MarianNetwork(MarianFile(write_model(model_items({"dec-depth": 2})), "model.bin"), "model.bin", "meta")
    ids = torch.zeros(3, 5, dtype=torch.long, device="meta")
    state = network.encode(ids, torch.zeros(3, dtype=torch.long, device="meta"))
    for position, previous in ((0, None), (1, torch.zeros(3, dtype=torch.long, device="meta"))):
        features = network.step(previous, position, state)
        assert (features.device.type, features.shape) == ("meta", (3, 8))
    kept = [*state.cells, *state.keys, *state.values, state.mask, state.attention, network.output_bias]
    assert {tensor.device.type for tensor in kept} == {"meta"}


def test_the_error_for_a_missing_gpu_names_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="there is no GPU that torch can use"):
        load_backend(ask(tmp_path, "cuda"))


@pytest.mark.parametrize(
    ("has_gpu", "torch_sees_it", "chosen"), [(False, True, "cpu"), (True, False, "cpu"), (True, True, "cuda")]
)
def test_auto_chooses_a_gpu_if_torch_can_use_it(
    monkeypatch: pytest.MonkeyPatch, chosen: str, *, has_gpu: bool, torch_sees_it: bool
) -> None:
    monkeypatch.setattr(devices, "_has_gpu", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: torch_sees_it)
    assert choose_device("auto") == chosen
    assert choose_device("cpu") == "cpu"


def test_a_student_on_the_cpu_imports_neither_torch_nor_transformers(tmp_path: Path) -> None:
    request = ask(tmp_path, "cpu")
    code = f"""
import sys
from pathlib import Path
from latimer_server.backends.registry import load_backend
from latimer_server.backends.protocol import DecodingOptions, LoadRequest
files = {{name: Path(path) for name, path in { ({name: str(path) for name, path in request.files.items()})!r}.items()}}
student = load_backend(LoadRequest("student", "marian_student", "translation", Path("."), files))
student.run([student.encode(["the house"])[0].ids], DecodingOptions(beam_size=2), lambda: False)
print(sorted({{"torch", "transformers", "ctranslate2"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
