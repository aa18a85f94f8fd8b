"""The server as a process with the real models: its first line, its signals, its files and its log."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import sentencepiece_model_pb2

from latimer import Client, LatimerError, NotServedError
from latimer_server.config.settings import load_settings
from tests.raw_http2 import RawConnection

SERVER = str(Path(sys.executable).with_name("latimer-server"))
PARAGRAPH = (
    "The town council of Halden voted on Tuesday to rebuild the old stone bridge over the river. "
    "The bridge was closed in March after engineers found cracks in two of its pillars. "
)


LAZY = ("smollm2-135m-instruct",)


@contextmanager
def listening(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Starts a server on a free port and yields its address. Kills the server if it still runs at the end."""
    process = subprocess.Popen(
        [SERVER, "serve", "--listen", "127.0.0.1:0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), process.stderr.read() if process.stderr else ""
        yield process, line.split()[-1]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """Starts a server on a free port and opens a client."""
    with (
        listening(*arguments, **environment) as (process, address),
        Client(address, timeout=300) as client,
    ):
        yield process, client


def test_the_server_writes_nothing_into_the_home_folder(tmp_path: Path) -> None:
    """ONNX Runtime writes an identifier of the machine and reports its use, unless the environment is that of a CI."""
    builds = dict.fromkeys(("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY"), "")
    store = str(load_settings(None).store)
    with serving("--store", store, **builds, HOME=str(tmp_path), XDG_CACHE_HOME="") as (process, client):
        assert client.translate("A house.", source="en", target="pt").text
        process.terminate()
        assert process.wait(60) == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def wait_until_settled(client: Client, *names: str) -> None:
    """Waits until every model to preload, or of `names`, is READY or FAILED."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        models = [model for model in client.models() if model.name not in LAZY]
        if not {"AVAILABLE", "LOADING"} & {model.state for model in models if not names or model.name in names}:
            return
        threading.Event().wait(0.02)
    raise AssertionError("the models did not settle")


def resident_bytes(process: subprocess.Popen[str]) -> int:
    """Returns the resident memory of a process."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_the_whole_path_on_real_models() -> None:
    with serving() as (process, client):
        wait_until_settled(client)
        assert client.health() == "SERVING"
        assert resident_bytes(process) < 700e6
        translation = client.translate("The old red house near the river was sold yesterday.\n\n  42\n", target="pt")
        assert translation.text == "A antiga casa vermelha perto do rio foi vendida ontem.\n\n  42\n"
        assert translation.source_language == "en"
        assert -1 < translation.score < 0
        back = client.translate(translation.text, source="pt", target="en")
        assert "house" in back.text
        assert "river" in back.text
        summary = client.summarize(PARAGRAPH, sentences=1, target="pt")
        assert summary.language == "pt"
        assert "ponte" in summary.text


def test_real_models_give_alternatives_and_honour_decoding_options() -> None:
    text = "The old red house near the river was sold yesterday."
    with serving() as (_, client):
        wait_until_settled(client)
        plain = client.translate(text, source="en", target="pt")
        for beam in (None, 2, 8):
            found = client.translate(text, source="en", target="pt", alternative_count=4, beam_size=beam)
            (segment,) = found.segments
            texts = [segment.text, *(other.text for other in segment.alternatives)]
            assert texts[0] == found.text
            assert plain.text in texts
            assert len(set(texts)) == len(texts) >= 3
            scores = [segment.score, *(other.score for other in segment.alternatives)]
            assert scores == sorted(scores, reverse=True)
            assert all("casa" in hypothesis for hypothesis in texts)
        assert not client.translate(text, source="en", target="pt", beam_size=4).segments
        words = "no, no, no, no, no, no, no, no."
        repeated = client.translate(words, source="en", target="pt").text
        once = client.translate(words, source="en", target="pt", no_repeat_ngram_size=2).text
        assert "não, não, não" in repeated
        # The first word has a small letter as in the source, but the model wrote it with a capital: another token.
        assert "não, não, não" not in once


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_calls_in_flight_finish(number: signal.Signals) -> None:
    with serving("--log-level", "DEBUG") as (process, client):
        wait_until_settled(client)
        with ThreadPoolExecutor(1) as executor:
            call = executor.submit(client.translate, [PARAGRAPH * 10] * 40, source="en", target="pt")
            assert process.stderr
            while "call began method=/latimer.v1.TranslationService/TranslateText" not in process.stderr.readline():
                assert not call.done()
            process.send_signal(number)
            assert process.wait(120) == 0
            assert all(translation.error is None for translation in call.result())


def test_health_answers_many_times_while_400_paragraphs_are_translated() -> None:
    """The delays are printed by `benchmarks.service.health_delay`."""
    with serving() as (_, client):
        wait_until_settled(client)
        # Each sentence is different: the server translates identical ones once.
        paragraphs = [f"{PARAGRAPH} ".replace(". ", f" in {number}. ") for number in range(400)]
        with ThreadPoolExecutor(1) as executor:
            call = executor.submit(client.translate, paragraphs, source="en", target="pt")
            checks = 0
            while not call.done():
                assert client.health() == "SERVING"
                checks += 1
                wait([call], 0.01)
            assert all(translation.error is None for translation in call.result())
    assert checks > 20


@pytest.fixture
def damaged_store(tmp_path: Path) -> Path:
    """Copies the store and flips one byte of one model."""
    store = tmp_path / "models"
    shutil.copytree(load_settings(None).store, store, ignore=shutil.ignore_patterns(".*", *LAZY))
    path = store / "firefox-en-pt" / "model.enpt.intgemm.alphas.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return store


def test_a_flipped_byte_fails_its_model_and_no_other(damaged_store: Path) -> None:
    with serving("--store", str(damaged_store)) as (_, client):
        wait_until_settled(client)
        states = {model.name: model for model in client.models()}
        assert states["firefox-en-pt"].state == "FAILED"
        assert "model.enpt.intgemm.alphas.bin: has changed" in states["firefox-en-pt"].error_message
        assert client.health() == "NOT_SERVING"
        assert client.health("model:firefox-en-pt") == "NOT_SERVING"
        with pytest.raises(NotServedError):
            client.translate("A text.", source="en", target="pt")
        assert client.translate("Um gato preto.", source="pt", target="en").text
    verified = subprocess.run(
        [SERVER, "models", "verify", "--store", str(damaged_store)], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 1
    assert "firefox-en-pt" in verified.stderr
    assert "firefox-pt-en: intact" in verified.stdout


def test_a_disordered_vocabulary_fails_the_default_canary_of_a_folder(tmp_path: Path) -> None:
    files = load_settings(None).store / "firefox-en-pt"
    shutil.copyfile(files / "model.enpt.intgemm.alphas.bin", tmp_path / "model.bin")
    vocabulary: Any = sentencepiece_model_pb2.ModelProto.FromString(  # type: ignore[attr-defined]
        (files / "vocab.enpt.spm").read_bytes()
    )
    words = [piece for piece in vocabulary.pieces if piece.type == piece.NORMAL]
    for piece, text in zip(words, [piece.piece for piece in reversed(words)], strict=True):
        piece.piece = text
    (tmp_path / "vocab.spm").write_bytes(vocabulary.SerializeToString())
    catalog = tmp_path / "own.toml"
    catalog.write_text(
        "[models.disordered]\ntask = 'translation'\nfamily = 'marian'\nbackend = 'marian_student'\n"
        f"source = 'dir:{tmp_path}'\nsource_languages = ['en']\ntarget_languages = ['pt']\n"
        "files.model.path = 'model.bin'\nfiles.vocabulary.path = 'vocab.spm'\n"
    )
    with serving("--catalog", str(catalog), "--models", "disordered") as (_, client):
        wait_until_settled(client, "disordered")
        (found,) = [model for model in client.models() if model.name == "disordered"]
    assert found.state == "FAILED"
    assert "its canary" in found.error_message


def test_a_strict_server_ends_with_one_line_that_names_the_model(damaged_store: Path) -> None:
    done = subprocess.run(
        [SERVER, "serve", "--listen", "127.0.0.1:0", "--strict", "--store", str(damaged_store), "--log-format", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout.startswith("listening on ")
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith("latimer-server: models cannot be loaded (--strict): model firefox-en-pt failed to load: ")
    assert "model.enpt.intgemm.alphas.bin: has changed" in line
    assert "Traceback" not in done.stderr


def test_a_server_that_cannot_start_ends_with_one_line_even_if_a_thread_hangs() -> None:
    code = """
import sys, threading
from latimer_server.cli.main import main
from latimer_server.rpc import server

async def build(*_):
    threading.Thread(target=threading.Event().wait).start()
    raise MemoryError("no memory")

server.build_server = build
sys.argv = ["latimer-server", "serve", "--listen", "127.0.0.1:0", "--log-format", "json"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert line == "latimer-server: ended by MemoryError: no memory"


def test_the_errors_of_an_empty_store_say_what_to_do(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path / "nothing")) as (_, client):
        with pytest.raises(NotServedError, match="served: none"):
            client.translate("A text.", source="en", target="pt")
        with pytest.raises(NotServedError, match="models fetch firefox-en-pt"):
            client.translate("A text.", source="en", target="pt", model="firefox-en-pt")
        assert client.summarize("It works. It really does.", sentences=1).text


def test_malformed_calls_write_no_lines_of_the_library_into_the_log() -> None:
    with listening("--log-format", "json", "--models", "") as (process, address):
        with RawConnection(int(address.rpartition(":")[2])) as connection:
            streams = [connection.begin(b"/a/b", [(b"te", b"x"), (b"grpc-timeout", b"zz")]) for _ in range(10)]
            streams += [connection.begin(b"/a/b", [(b"x-note", b"\xff\xfe")] * 10) for _ in range(10)]
            connection.read_statuses(streams)
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert [line for line in log.splitlines() if not line.startswith("{") or "cygrpc" in line] == []


def test_the_log_has_ids_and_no_text() -> None:
    secret = "Quasimodo's appendix"
    with serving("--log-format", "json") as (process, client):
        wait_until_settled(client)
        client.translate(f"{secret} was removed on Monday.", source="en", target="pt")
        client.summarize(f"{secret} was removed. {secret} hurts.", sentences=1)
        with pytest.raises(LatimerError):
            client.translate(secret, source="en", target="de")
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert "Quasimodo" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    calls = [line for line in lines if line["message"] == "call"]
    assert [line["code"] for line in calls][-3:] == ["OK", "OK", "NOT_FOUND"]
    assert all(line["request_id"] for line in calls)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--listen", "nowhere:x"], "cannot listen"),
        (["--log-level", "LOUD"], "log_level"),
        (["--catalog", "/nothing.toml"], "nothing.toml"),
        (["--config", "/nothing.toml"], "nothing.toml"),
        (["--max-model-memory", "much"], "max_model_memory"),
        (["--device", "tpu"], "device"),
    ],
)
def test_a_wrong_setting_is_reported_in_one_line(arguments: list[str], complaint: str) -> None:
    done = subprocess.run([SERVER, "serve", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("engine", ["abacus", "neon" if platform.machine() == "x86_64" else "avx2"])
def test_an_engine_that_cannot_run_is_reported_in_one_line(engine: str) -> None:
    done = subprocess.run(
        [SERVER, "serve", "--listen", "127.0.0.1:0"],
        env=os.environ | {"LATIMER_ENGINE": engine},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"LATIMER_ENGINE={engine}" in done.stderr.replace("'", "")


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [SERVER, "serve", "--listen", address], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert "cannot listen" in done.stderr


def test_the_server_imports_no_model_library_before_it_listens() -> None:
    modules = "('torch', 'sentencepiece', 'py3langid', 'numpy')"
    code = (
        "import sys, latimer_server.cli.main, latimer_server.rpc.server\n"
        f"print([name for name in {modules} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_models_are_listed_and_fetched_only_once() -> None:
    listed = subprocess.run([SERVER, "models", "list"], capture_output=True, text=True, check=True).stdout
    assert "firefox-en-pt" in listed
    assert "MPL-2.0" in listed
    fetched = subprocess.run([SERVER, "models", "fetch"], capture_output=True, text=True, check=True).stdout
    assert "firefox-en-pt: already there" in fetched
    unknown = subprocess.run([SERVER, "models", "fetch", "nothing"], capture_output=True, text=True, check=False)
    assert unknown.returncode == 1
    assert "no model 'nothing'" in unknown.stderr


def test_calls_go_on_when_nothing_reads_the_log() -> None:
    with serving("--models", "") as (process, client):
        # A pipe holds 64 KiB, and the line of a call has about 150 bytes.
        for _ in range(2_000):
            client.detect("42")
        process.terminate()
        assert process.wait(60) == 0
