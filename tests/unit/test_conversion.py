"""Tests of conversions: verified before use, ended with their last waiter, and without running code of the model."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latimer_server.backends.huggingface import conversion
from latimer_server.backends.huggingface.conversion import convert, is_converted, prepare_checkpoint
from latimer_server.backends.huggingface.conversion_worker import ConversionJob
from latimer_server.backends.protocol import LoadRequest
from latimer_server.backends.registry import prepare_model, verify_prepared
from latimer_server.core.errors import ModelError, ModelFileError


def ask(folder: Path, **keys: Any) -> LoadRequest:
    folder.mkdir(exist_ok=True)
    if not (folder / "model.safetensors").exists():
        (folder / "model.safetensors").write_bytes(b"weights" * 100)
    keys = {"backend": "ctranslate2", "task": "translation", "cache": folder.parent / "made" / folder.name, **keys}
    return LoadRequest(name="m", folder=folder, **keys)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[ConversionJob]:
    """Replaces conversions by writing a file of 3,000 bytes. The list records their jobs."""
    done: list[ConversionJob] = []

    def write(job: ConversionJob, scratch: Path, cancelled: Callable[[], bool]) -> None:
        for name in ("weights/model.bin", "checkpoint/config.json"):
            path = Path(job.output) / name
            path.parent.mkdir()
            path.write_bytes(b"made" * 750)
        done.append(job)

    monkeypatch.setattr(conversion, "_run", write)
    return done


def cut(path: Path) -> None:
    os.truncate(path, 100)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [Path.unlink, cut, flip])
@pytest.mark.parametrize("name", ["weights/model.bin", "checkpoint/config.json", "made.json"])
def test_a_damaged_conversion_is_reported_and_made_again(
    tmp_path: Path, conversions: list[ConversionJob], name: str, harm: Callable[[Path], None]
) -> None:
    load_request = ask(tmp_path / "model")
    made = convert(load_request, "int8").weights.parent
    assert len(conversions) == 1
    assert is_converted(load_request, "int8")
    verify_prepared(load_request)
    harm(made / name)
    assert not is_converted(load_request, "int8")
    with pytest.raises(ModelFileError, match=rf"made/model/{made.name}/{name}: .*; the next load converts it again"):
        verify_prepared(load_request)
    assert convert(load_request, "int8").weights.parent == made
    assert len(conversions) == 2
    verify_prepared(load_request)
    convert(load_request, "int8")
    assert len(conversions) == 2
    assert [path.name for path in made.parent.iterdir()] == [made.name]  # nothing is left beside it


def test_a_conversion_of_older_files_is_replaced_without_a_warning(
    tmp_path: Path, conversions: list[ConversionJob]
) -> None:
    load_request = ask(tmp_path / "model")
    flip(convert(load_request, "int8").weights / "model.bin")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"others")
    verify_prepared(load_request)


def test_an_unpacked_checkpoint_survives_a_move_of_its_store_and_opens_no_file_for_writing(
    tmp_path: Path, conversions: list[ConversionJob]
) -> None:
    model = tmp_path / "store" / "m"
    model.mkdir(parents=True)
    (model / "spiece.model").write_bytes(b"pieces")
    load_request = ask(model, cache=tmp_path / "store" / ".made" / "m")
    (model / "model.safetensors").chmod(0o444)
    changed = (model / "model.safetensors").stat().st_mtime_ns
    assert (prepare_checkpoint(load_request) / "model.safetensors").read_bytes() == b"weights" * 100
    assert (model / "model.safetensors").stat().st_mtime_ns == changed
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    moved = ask(tmp_path / "elsewhere" / "m", cache=tmp_path / "elsewhere" / ".made" / "m")
    assert (prepare_checkpoint(moved) / "model.safetensors").read_bytes() == b"weights" * 100
    assert len(conversions) == 1
    # An operator's folder that was moved without its conversion is converted again.
    (tmp_path / "elsewhere" / "m").rename(tmp_path / "apart")
    apart = ask(tmp_path / "apart", cache=tmp_path / "elsewhere" / ".made" / "m")
    assert (prepare_checkpoint(apart) / "model.safetensors").read_bytes() == b"weights" * 100
    assert len(conversions) == 2


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes conversions run for ever. The file contains the id of their process."""
    script = tmp_path / "endless"
    os.mkfifo(tmp_path / "started")
    script.write_text(f"#!/bin/sh\nsleep 600 &\necho $$ > {tmp_path}/pid\necho > {tmp_path}/started\nwait\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return tmp_path / "pid"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_conversion_without_a_waiter_ends_and_leaves_nothing(tmp_path: Path, endless: Path) -> None:
    given_up, problems = threading.Event(), []

    def load() -> None:
        try:
            prepare_model(ask(tmp_path / "model", cancelled=given_up.is_set, files={"model": tmp_path / "m.gguf"}))
        except ModelError as error:
            problems.append(str(error))

    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    thread = threading.Thread(target=load)
    reader = os.open(tmp_path / "started", os.O_RDONLY | os.O_NONBLOCK)
    thread.start()
    assert select.select([reader], [], [], 30)[0]
    os.close(reader)
    pid = int(endless.read_text())
    given_up.set()
    thread.join(10)
    assert problems == ["its conversion was cancelled: no request needs it any more"]
    assert not is_running(pid)
    assert not list((tmp_path / "made" / "model").iterdir())


def test_a_conversion_has_a_time_limit(tmp_path: Path, endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "_LIMIT_SECONDS", 0.3)
    with pytest.raises(ModelError, match=r"could not be converted in 0\.3 s"):
        convert(ask(tmp_path / "model"), "int8")
    assert not is_running(int(endless.read_text()))


def test_the_next_conversion_removes_the_files_of_a_killed_process(
    tmp_path: Path, conversions: list[ConversionJob]
) -> None:
    load_request = ask(tmp_path / "model")
    assert load_request.cache is not None
    (load_request.cache / ".new-killed" / "made").mkdir(parents=True)
    (load_request.cache / ".new-killed" / "made" / "model.bin").write_bytes(b"half")
    made = convert(load_request, "int8").weights.parent
    assert list(load_request.cache.iterdir()) == [made]


def test_a_killed_servers_conversion_ends_by_itself(tmp_path: Path) -> None:
    """A library in the place of CTranslate2 reports that it was imported, and then computes for ever."""
    os.mkfifo(tmp_path / "started")
    (tmp_path / "ctranslate2").mkdir()
    (tmp_path / "ctranslate2" / "__init__.py").touch()
    library = f"open({str(tmp_path / 'started')!r}, 'w').write('x')\nimport threading\nthreading.Event().wait()\n"
    (tmp_path / "ctranslate2" / "converters.py").write_text(library)
    (tmp_path / "made").mkdir()
    job = ConversionJob(str(tmp_path), "", "int8", str(tmp_path / "made"), allow_pickle=False, only_unpack=False)
    code = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-m', 'latimer_server.backends.huggingface.conversion_worker', sys.argv[1]]\n"
        "print(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid, flush=True)\n"
        "sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    started = os.open(tmp_path / "started", os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(
        [sys.executable, "-c", code, job.describe()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        assert server.stdout is not None
        worker = os.pidfd_open(int(server.stdout.readline()))
        assert select.select([started], [], [], 30)[0]
        assert not select.select([worker], [], [], 0)[0]
        server.kill()
    assert select.select([worker], [], [], 20)[0]  # it has ended
    os.close(started)
    os.close(worker)


def run_with_yes(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs code and answers every question with yes. With this answer transformers would run a copy of custom code."""
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "HF_HOME": str(folder / "home")}
    return subprocess.run(command, input="y\n" * 20, capture_output=True, text=True, check=False, env=environment)


def test_a_conversion_gets_no_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "reader"
    script.write_text(f"#!/bin/sh\ncat > {tmp_path}/read\necho no answer >&2\nexit 1\n")
    script.chmod(0o755)
    code = (
        "import sys; from pathlib import Path\n"
        "from latimer_server.backends.protocol import LoadRequest\n"
        "from latimer_server.backends.huggingface.conversion import convert\n"
        "folder = Path(sys.argv[1])\n"
        "sys.executable = sys.argv[2]\n"
        "convert(LoadRequest('m', 'ctranslate2', 'translation', folder, cache=folder / 'made'), 'int8')"
    )
    done = run_with_yes(code, tmp_path, str(ask(tmp_path / "model").folder), str(script))
    assert "could not be converted: no answer" in done.stderr
    assert (tmp_path / "read").read_text() == ""
