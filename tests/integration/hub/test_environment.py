"""Tests of huggingface_hub's environment and cache (endpoint, token, proxy, offline) and of a killed fetch."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from latimer_server.core.errors import ModelError
from latimer_server.models.store.store import Store
from tests.integration.hub.model import WEIGHTS, entry, nothing
from tests.loopback import LoopbackHub


def test_files_in_the_hub_cache_are_not_downloaded(hub: LoopbackHub, store: Store, tmp_path: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("owner/good", tqdm_class=None)
    hub.asked.clear()
    store.fetch([entry()], nothing)
    assert hub.paths() == ["main"]  # only the listing
    shutil.rmtree(tmp_path / "hub-cache")
    store.verify(entry())  # copies, not links


def test_offline_uses_only_files_in_the_hub_cache(
    hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("owner/good")
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    store.fetch([entry()], nothing)
    store.verify(entry())
    record = store.record(entry())
    assert record is not None
    assert record.revision == hub.repositories["owner/good"].commit
    with pytest.raises(ModelError, match="other: HF_HUB_OFFLINE is set, and the hub's cache"):
        store.fetch([entry("hub:owner/other", name="other")], nothing)
    assert hub.asked == []


@pytest.fixture
def run(hub: LoopbackHub, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `latimer-server models` as a separate process, which gets the hub by its environment."""
    own = tmp_path / "own.toml"
    own.write_text(
        "[models.good]\ntask = 'translation'\nfamily = 'marian'\nbackend = 'transformers'\nsource = 'hub:owner/good'\n"
        "source_languages = ['en']\ntarget_languages = ['de']\n"
    )

    places = ("--catalog", str(own), "--store", str(tmp_path / "store"))

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        return subprocess.Popen(
            [Path(sys.executable).with_name("latimer-server"), "models", *arguments, *places],
            env={**clean, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_the_commands_honour_the_hubs_environment(hub: LoopbackHub, run: Callable[..., subprocess.Popen[str]]) -> None:
    hub.repositories["owner/good"].token = "secret"
    status, _, err = finish(run("fetch", "good"))
    assert status == 1
    assert err == (
        "latimer-server: good: hub:owner/good: no such repository, or a private one that HF_TOKEN gives no access to\n"
    )
    assert finish(run("fetch", "good", HF_TOKEN="secret"))[:2] == (0, "good: fetched\n")
    assert finish(run("verify", "good", HF_HUB_OFFLINE="1"))[:2] == (0, "good: intact\n")


def test_a_killed_fetch_is_resumed(hub: LoopbackHub, run: Callable[..., subprocess.Popen[str]], store: Store) -> None:
    # The library writes 10 MiB at a time.
    weights = os.urandom(12 << 20)
    hub.repositories["owner/good"].files["model.safetensors"] = weights
    hub.faults.stall["model.safetensors"] = 11 << 20
    process = run("fetch", "good")
    staging = store.folder(entry()).parent / ".fetching" / "good"
    waiting = threading.Event()
    while not any(part.stat().st_size >= 10 << 20 for part in staging.glob("model.safetensors.*.part")):
        assert process.poll() is None
        waiting.wait(0.02)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert not store.folder(entry()).exists()
    hub.faults.release.set()
    hub.asked.clear()
    assert finish(run("fetch", "good"))[:2] == (0, "good: fetched\n")
    assert hub.ranges("good/model.safetensors") == [f"bytes={10 << 20}-"]
    store.verify(entry())
    assert store.locate(entry())["model.safetensors"].read_bytes() == weights


def test_a_proxy_of_the_environment_is_used(hub: LoopbackHub, run: Callable[..., subprocess.Popen[str]]) -> None:
    direct = {"HF_ENDPOINT": "http://hub.invalid", "NO_PROXY": "", "no_proxy": ""}
    status, _, err = finish(run("fetch", "good", **direct, HTTP_PROXY="", http_proxy=""))
    assert status == 1
    assert "good: hub:owner/good: the hub cannot be reached" in err
    assert finish(run("fetch", "good", **direct, HTTP_PROXY=hub.url, http_proxy=hub.url))[:2] == (0, "good: fetched\n")


def test_damaged_files_in_the_hub_cache_are_not_used(hub: LoopbackHub, store: Store, tmp_path: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot = Path(snapshot_download("owner/good"))
    (snapshot / "model.safetensors").write_bytes(WEIGHTS[::-1])
    store.fetch([entry()], nothing)
    store.verify(entry())
    assert store.locate(entry())["model.safetensors"].read_bytes() == WEIGHTS
