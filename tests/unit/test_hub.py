"""The source `hub:`: the real huggingface_hub code against a hub on the loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from latimer_server.errors import ModelError, ModelFileError
from latimer_server.models.entry import CatalogEntry, FileEntry, Task
from latimer_server.models.store import Store
from tests.loopback import LoopbackHub, Repository

WEIGHTS = bytes(range(256)) * 400
MARIAN = {
    "config.json": b'{"model_type": "marian"}',
    "generation_config.json": b"{}",
    "tokenizer_config.json": b'{"source_lang": "en"}',
    "vocab.json": b'{"</s>": 0}',
    "source.spm": b"source pieces",
    "target.spm": b"target pieces",
    "model.safetensors": WEIGHTS,
}


def nothing(*_: object) -> None:
    """Progress that nobody reads."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub with one good model, and huggingface_hub pointed at it (it reads its environment at import)."""
    hub = LoopbackHub()
    hub.repositories["owner/good"] = Repository(dict(MARIAN))
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1_000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", nothing)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with hub.running():
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def entry(source: str = "hub:owner/good", name: str = "good", **keys: Any) -> CatalogEntry:
    return CatalogEntry(
        name=name, task=Task.TRANSLATION, family="marian", backend="auto", source=source, license="MIT", **keys
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_model_is_fetched_whole_with_its_commit_and_digests_recorded(hub: LoopbackHub, store: Store) -> None:
    told: list[tuple[str, int, int]] = []
    assert not store.has(entry())
    assert store.fetch([entry()], lambda *progress: told.append(progress)) == ["good"]
    assert store.has(entry())
    store.verify(entry())
    folder = store.folder(entry())
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "latimer.json"} == MARIAN
    assert not any(path.is_symlink() for path in folder.iterdir())
    record = store.record(entry())
    assert record is not None
    assert record.revision == hub.repositories["owner/good"].commit
    assert record.source == "hub:owner/good"
    assert record.files["model.safetensors"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert set(store.locate(entry())) == set(MARIAN)
    total = sum(map(len, MARIAN.values()))
    assert told[-1] == ("good", total, total)


def test_a_model_that_is_there_and_intact_is_not_asked_for_again(hub: LoopbackHub, store: Store) -> None:
    store.fetch([entry()], nothing)
    asked = len(hub.asked)
    assert store.fetch([entry()], nothing) == []
    assert len(hub.asked) == asked


def test_only_the_files_that_are_needed_are_asked_for(hub: LoopbackHub, store: Store) -> None:
    unwanted = (
        "pytorch_model.bin tf_model.h5 flax_model.msgpack rust_model.ot model.onnx README.md modeling_custom.py "
        "other.gguf .gitattributes training_args.bin"
    )
    hub.repositories["owner/good"].files |= dict.fromkeys(unwanted.split(), b"unwanted")
    hub.repositories["owner/good"].files |= {"chat_template.jinja": b"{{ x }}", "tokenizer.json": b"{}"}
    store.fetch([entry()], nothing)
    assert names(store.folder(entry())) == {*MARIAN, "chat_template.jinja", "tokenizer.json", "latimer.json"}
    assert not {"pytorch_model.bin", "modeling_custom.py"} & set(hub.paths())


def test_shards_come_with_their_index(hub: LoopbackHub, store: Store) -> None:
    shards = {f"model-0000{i}-of-00002.safetensors": b"shard %d" % i for i in (1, 2)}
    index = json.dumps({"weight_map": {str(i): name for i, name in enumerate(shards)}}).encode()
    files = {**MARIAN, **shards, "model.safetensors.index.json": index}
    del files["model.safetensors"]
    hub.repositories["owner/good"].files = files
    store.fetch([entry()], nothing)
    assert names(store.folder(entry())) == {*files, "latimer.json"}


def test_a_shard_that_is_not_there_is_named(hub: LoopbackHub, store: Store) -> None:
    index = json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}).encode()
    files = {**MARIAN, "model.safetensors.index.json": index}
    del files["model.safetensors"]
    hub.repositories["owner/good"].files = files
    with pytest.raises(ModelFileError, match=r"good/model-00001-of-00001\.safetensors"):
        store.fetch([entry()], nothing)
    assert not store.has(entry())


def test_a_gguf_that_the_entry_names_comes_alone(hub: LoopbackHub, store: Store) -> None:
    hub.repositories["owner/gguf"] = Repository({"m.Q4.gguf": b"four", "m.Q8.gguf": b"eight", "README.md": b"read"})
    wanted = entry("hub:owner/gguf", files={"model": FileEntry(path="m.Q4.gguf")})
    store.fetch([wanted], nothing)
    assert names(store.folder(wanted)) == {"m.Q4.gguf", "latimer.json"}
    assert store.locate(wanted)["model"].read_bytes() == b"four"


def test_a_tag_or_a_commit_can_be_named(hub: LoopbackHub, store: Store) -> None:
    repository = hub.repositories["owner/good"]
    repository.revisions = ("main", "v1", "refs/pr/3")
    for number, revision in enumerate(("v1", "refs/pr/3", repository.commit)):
        named = entry(f"hub:owner/good@{revision}", name=f"good{number}")
        store.fetch([named], nothing)
        record = store.record(named)
        assert record is not None
        assert record.revision == repository.commit


def test_another_revision_in_the_catalogue_is_another_model(hub: LoopbackHub, store: Store) -> None:
    store.fetch([entry()], nothing)
    hub.repositories["owner/good"].revisions = ("main", "v2")
    hub.repositories["owner/good"].files["model.safetensors"] = b"better weights"
    newer = entry("hub:owner/good@v2")
    assert not store.has(newer)
    with pytest.raises(ModelError, match=r"good: the store has hub:owner/good, .* hub:owner/good@v2"):
        store.verify(newer)
    cache = store.cache(newer)
    cache.mkdir(parents=True)
    store.fetch([newer], nothing)
    assert store.locate(newer)["model.safetensors"].read_bytes() == b"better weights"
    assert not cache.exists()  # it was made from the files that are gone


def test_a_cut_connection_is_taken_up_where_it_broke(hub: LoopbackHub, store: Store) -> None:
    hub.faults.cut["model.safetensors"] = [30_000, 20_000]
    store.fetch([entry()], nothing)
    store.verify(entry())
    assert hub.ranges("/resolve/" + hub.repositories["owner/good"].commit + "/model.safetensors") == [
        "", "bytes=30000-", "bytes=50000-",
    ]  # fmt: skip


def test_a_fetch_that_gave_up_goes_on_the_next_time(hub: LoopbackHub, store: Store) -> None:
    hub.faults.cut["model.safetensors"] = [40_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ModelError, match=r"good: hub:owner/good \(\w{12}\): model\.safetensors: .*fetch again"):
        store.fetch([entry()], nothing)
    assert not store.has(entry())
    assert not store.folder(entry()).exists()
    hub.faults.cut.clear()
    hub.asked.clear()
    assert store.fetch([entry()], nothing) == ["good"]
    store.verify(entry())
    assert hub.ranges("good/model.safetensors") == ["bytes=40000-"]
    assert "vocab.json" not in hub.paths()  # it was whole already


def test_a_server_that_ignores_ranges_does_no_harm(hub: LoopbackHub, store: Store) -> None:
    hub.faults.cut["model.safetensors"] = [40_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ModelError):
        store.fetch([entry()], nothing)
    (part,) = (store.folder(entry()).parent / ".fetching" / "good").glob("*.part")
    part.write_bytes(b"x" * (len(WEIGHTS) + 5))  # longer than the file: no range can follow it
    hub.faults.cut.clear()
    store.fetch([entry()], nothing)
    store.verify(entry())


def test_what_moved_on_meanwhile_is_fetched_anew(hub: LoopbackHub, store: Store) -> None:
    hub.faults.cut["model.safetensors"] = [40_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ModelError):
        store.fetch([entry()], nothing)
    hub.faults.cut.clear()
    hub.repositories["owner/good"].files |= {"model.safetensors": WEIGHTS[::-1], "vocab.json": b'{"<unk>": 0}'}
    store.fetch([entry()], nothing)
    assert store.locate(entry())["model.safetensors"].read_bytes() == WEIGHTS[::-1]
    assert store.locate(entry())["vocab.json"].read_bytes() == b'{"<unk>": 0}'
    assert names(store.folder(entry())) == {*MARIAN, "latimer.json"}


@pytest.mark.parametrize("file", ["model.safetensors", "vocab.json"])
def test_a_file_with_another_digest_than_the_hub_publishes_is_refused(
    hub: LoopbackHub, store: Store, file: str
) -> None:
    lie = bytearray(MARIAN[file])
    lie[3] ^= 1
    hub.faults.lies[file] = bytes(lie)
    with pytest.raises(ModelFileError, match=f"good/{file}: came with the digest .*its source publishes"):
        store.fetch([entry()], nothing)
    assert not store.folder(entry()).exists()
    hub.faults.lies.clear()
    store.fetch([entry()], nothing)
    store.verify(entry())


def test_a_digest_of_the_catalogue_is_compared_too(hub: LoopbackHub, store: Store) -> None:
    pinned = entry(files={"model": FileEntry(path="model.safetensors", sha256="0" * 64)})
    with pytest.raises(ModelFileError, match=r"good/model\.safetensors: .*the catalogue says 0000"):
        store.fetch([pinned], nothing)


def test_a_mirror_that_lists_names_only_is_asked_for_the_rest(hub: LoopbackHub, store: Store) -> None:
    hub.repositories["owner/good"].bare_listing = True
    hub.faults.lies["model.safetensors"] = WEIGHTS[::-1]
    with pytest.raises(ModelFileError, match=r"model\.safetensors: came with the digest"):
        store.fetch([entry()], nothing)
    hub.faults.lies.clear()
    store.fetch([entry()], nothing)
    store.verify(entry())


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("hub:owner/none", "good: hub:owner/none: no such repository, or a private one"),
        ("hub:owner/good@v9", "good: hub:owner/good@v9: the repository has no such revision"),
    ],
)
def test_what_the_hub_does_not_have_is_named(hub: LoopbackHub, store: Store, source: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as raised:
        store.fetch([entry(source)], nothing)
    assert "\n" not in str(raised.value)


def test_a_gated_repository_says_what_to_do(hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["owner/gated"] = Repository(dict(MARIAN), token="right", gated=True)
    for token in ("", "wrong"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(ModelError, match=r"good: hub:owner/gated.*is gated: .*HF_TOKEN") as raised:
            store.fetch([entry("hub:owner/gated")], nothing)
        assert "\n" not in str(raised.value)
    monkeypatch.setenv("HF_TOKEN", "right")
    assert store.fetch([entry("hub:owner/gated")], nothing) == ["good"]  # and the CDN asserts it sees no token


def test_a_private_repository_needs_the_token(hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["owner/private"] = Repository(dict(MARIAN), token="right")
    with pytest.raises(ModelError, match="a private one that HF_TOKEN gives no access to"):
        store.fetch([entry("hub:owner/private")], nothing)
    monkeypatch.setenv("HF_TOKEN", "right")
    assert store.fetch([entry("hub:owner/private")], nothing) == ["good"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refusal_names_model_file_and_status(hub: LoopbackHub, store: Store, status: int) -> None:
    hub.faults.status["model.safetensors"] = status
    hub.faults.status["config.json"] = status
    with pytest.raises(ModelError, match=rf"good: hub:owner/good \(\w+\): config\.json: .*{status}") as raised:
        store.fetch([entry()], nothing)
    assert "\n" not in str(raised.value)


def test_a_hub_that_is_not_there_is_said_so(hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = LoopbackHub()  # its port is taken and nobody answers there
    nobody._server.server_close()
    monkeypatch.setattr(constants, "ENDPOINT", nobody.url)
    with pytest.raises(ModelError, match="good: hub:owner/good: the hub cannot be reached") as raised:
        store.fetch([entry()], nothing)
    assert "\n" not in str(raised.value)


def test_a_server_that_is_no_hub_is_said_so(hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url + "/not-the-hub")
    with pytest.raises(ModelError, match="good: hub:owner/good: the hub answered HTTP 404"):
        store.fetch([entry()], nothing)


@pytest.mark.parametrize(
    ("without", "complaint"),
    [
        (("config.json",), r"good/config\.json: is not there"),
        (("source.spm", "target.spm"), r"good: has no tokenizer: none of tokenizer\.json, source\.spm"),
        (("model.safetensors",), r"good/model\.safetensors: is not there"),
    ],
)
def test_a_repository_that_lacks_something_is_refused_before_anything_is_fetched(
    hub: LoopbackHub, store: Store, without: tuple[str, ...], complaint: str
) -> None:
    for name in without:
        del hub.repositories["owner/good"].files[name]
    with pytest.raises(ModelFileError, match=complaint):
        store.fetch([entry()], nothing)
    assert len(hub.asked) == 1


def test_a_pickle_is_refused_before_it_is_fetched_unless_the_entry_allows_it(hub: LoopbackHub, store: Store) -> None:
    files = hub.repositories["owner/good"].files
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    with pytest.raises(ModelError, match=r"pickle \(pytorch_model\.bin\).*allow_pickle = true under \[models\.good\]"):
        store.fetch([entry()], nothing)
    assert len(hub.asked) == 1
    assert store.fetch([entry(allow_pickle=True)], nothing) == ["good"]
    store.verify(entry(allow_pickle=True))
    with pytest.raises(ModelError, match="pickle"):
        store.verify(entry())  # the operator withdrew it


def test_a_disk_that_fills_up_is_said_and_the_fetch_goes_on_later(hub: LoopbackHub, store: Store) -> None:
    staging = store.folder(entry()).parent / ".fetching" / "good"
    staging.mkdir(parents=True)
    full = staging / f"model.safetensors.{hashlib.sha256(WEIGHTS).hexdigest()[:16]}.part"
    full.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(ModelError, match=r"good: the disk is full .*No space left") as raised:
        store.fetch([entry()], nothing)
    assert "\n" not in str(raised.value)
    assert not store.folder(entry()).exists()
    full.unlink()
    store.fetch([entry()], nothing)
    store.verify(entry())


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(
    hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"good: needs 102,\d+ bytes more, .* has 1,000 free"):
        store.fetch([entry()], nothing)
    assert len(hub.asked) == 1


def test_models_fetched_before_a_fault_stay(hub: LoopbackHub, store: Store) -> None:
    first, second = entry(name="first"), entry("hub:owner/none", name="second")
    with pytest.raises(ModelError, match="second: hub:owner/none"):
        store.fetch([first, second], nothing)
    store.verify(first)


def test_the_old_files_stay_until_the_new_ones_are_whole(hub: LoopbackHub, store: Store) -> None:
    store.fetch([entry()], nothing)
    hub.repositories["owner/good"].revisions = ("main", "v2")
    hub.repositories["owner/good"].files["model.safetensors"] = WEIGHTS[::-1]
    hub.faults.lies["model.safetensors"] = b"nonsense" * 12_800
    with pytest.raises(ModelFileError):
        store.fetch([entry("hub:owner/good@v2")], nothing)
    store.verify(entry())


@pytest.mark.parametrize("file", sorted(MARIAN))
def test_verify_names_any_file_that_changed_or_went(hub: LoopbackHub, store: Store, file: str) -> None:
    store.fetch([entry()], nothing)
    path = store.folder(entry()) / file
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"!")
    with pytest.raises(ModelFileError, match=f"good/{file}: has changed"):
        store.verify(entry())
    path.unlink()
    assert not store.has(entry())
    with pytest.raises(ModelFileError, match=f"good/{file}: is missing"):
        store.verify(entry())
    assert store.fetch([entry()], nothing) == ["good"]
    store.verify(entry())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"source": "hub:owner/good", "files": {"x": {"path": "../x", "sha256": "", "size": 1}}}']
)
def test_a_broken_record_is_named_and_the_model_fetched_again(hub: LoopbackHub, store: Store, text: str) -> None:
    store.fetch([entry()], nothing)
    (store.folder(entry()) / "latimer.json").write_text(text)
    assert not store.has(entry())
    with pytest.raises(ModelFileError, match=r"good/latimer\.json"):
        store.verify(entry())
    assert store.fetch([entry()], nothing) == ["good"]


def test_the_hubs_own_cache_spares_the_download(hub: LoopbackHub, store: Store, tmp_path: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("owner/good", tqdm_class=None)
    hub.asked.clear()
    store.fetch([entry()], nothing)
    assert hub.paths() == ["main"]  # the listing alone
    shutil.rmtree(tmp_path / "hub-cache")
    store.verify(entry())  # copies, not links


def test_offline_takes_what_the_hubs_cache_holds_and_nothing_else(
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


def test_a_licence_that_forbids_commerce_must_be_accepted(hub: LoopbackHub, store: Store) -> None:
    strict = entry(noncommercial=True).model_copy(update={"license": "CC-BY-NC-4.0"})
    with pytest.raises(ModelError, match=r"good: its licence \(CC-BY-NC-4\.0\) .*--accept-license"):
        store.fetch([strict], nothing)
    assert hub.asked == []
    store.fetch([strict], nothing, accept_licenses=True)
    record = store.record(strict)
    assert record is not None
    assert (record.license, record.license_accepted) == ("CC-BY-NC-4.0", True)
    assert store.fetch([strict], nothing) == []  # once is enough


def test_two_fetches_at_once_bring_a_model_once(hub: LoopbackHub, store: Store) -> None:
    fetched: list[list[str]] = []
    threads = [threading.Thread(target=lambda: fetched.append(store.fetch([entry()], nothing))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched) == [[], [], ["good"]]
    assert hub.paths().count("config.json") == 1


@pytest.fixture
def run(hub: LoopbackHub, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `latimer-server models` in a process of its own, with the hub in its environment only."""
    own = tmp_path / "own.toml"
    own.write_text(
        "[models.good]\ntask = 'translation'\nfamily = 'marian'\nbackend = 'auto'\nsource = 'hub:owner/good'\n"
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


def test_a_fetch_that_was_killed_goes_on_where_it_was(
    hub: LoopbackHub, run: Callable[..., subprocess.Popen[str]], store: Store
) -> None:
    # The library hands on 10 MiB at a time.
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
