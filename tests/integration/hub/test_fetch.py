"""Tests of a fetch from the hub: the needed files, complete, of one commit, and recorded."""

from __future__ import annotations

import hashlib
import json
import socket
import threading

import pytest

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.catalog import Catalog
from latimer_server.models.catalog.entry import FileEntry
from latimer_server.models.store.local_models import LocalModels
from latimer_server.models.store.store import Store
from tests.integration.hub.model import MARIAN, WEIGHTS, entry, names, nothing
from tests.loopback import LoopbackHub, Repository


def test_a_model_is_fetched_and_its_commit_and_digests_are_recorded(hub: LoopbackHub, store: Store) -> None:
    progress: list[tuple[str, int, int]] = []
    assert not store.has(entry())
    assert store.fetch([entry()], lambda *step: progress.append(step)) == ["good"]
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
    assert (
        LocalModels(Catalog({"good": entry()}), store).get("good").weights_sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    )
    assert set(store.locate(entry())) == set(MARIAN)
    total = sum(map(len, MARIAN.values()))
    assert progress[-1] == ("good", total, total)


def test_an_intact_model_is_not_fetched_again(hub: LoopbackHub, store: Store) -> None:
    store.fetch([entry()], nothing)
    requests = len(hub.asked)
    assert store.fetch([entry()], nothing) == []
    assert len(hub.asked) == requests


def test_only_the_needed_files_are_fetched(hub: LoopbackHub, store: Store) -> None:
    unwanted = (
        "pytorch_model.bin tf_model.h5 flax_model.msgpack rust_model.ot model.onnx README.md modeling_custom.py "
        "other.gguf .gitattributes training_args.bin"
    )
    hub.repositories["owner/good"].files |= dict.fromkeys(unwanted.split(), b"unwanted")
    hub.repositories["owner/good"].files |= {"chat_template.jinja": b"{{ x }}", "tokenizer.json": b"{}"}
    store.fetch([entry()], nothing)
    assert names(store.folder(entry())) == {*MARIAN, "chat_template.jinja", "tokenizer.json", "latimer.json"}
    assert not {"pytorch_model.bin", "modeling_custom.py"} & set(hub.paths())


def test_shards_are_fetched_with_their_index(hub: LoopbackHub, store: Store) -> None:
    shards = {f"model-0000{i}-of-00002.safetensors": b"shard %d" % i for i in (1, 2)}
    index = json.dumps({"weight_map": {str(i): name for i, name in enumerate(shards)}}).encode()
    files = {**MARIAN, **shards, "model.safetensors.index.json": index}
    del files["model.safetensors"]
    hub.repositories["owner/good"].files = files
    store.fetch([entry()], nothing)
    assert names(store.folder(entry())) == {*files, "latimer.json"}


def test_a_missing_shard_is_named(hub: LoopbackHub, store: Store) -> None:
    index = json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}).encode()
    files = {**MARIAN, "model.safetensors.index.json": index}
    del files["model.safetensors"]
    hub.repositories["owner/good"].files = files
    with pytest.raises(ModelFileError, match=r"good/model-00001-of-00001\.safetensors"):
        store.fetch([entry()], nothing)
    assert not store.has(entry())


def test_only_the_gguf_file_of_the_entry_is_fetched(hub: LoopbackHub, store: Store) -> None:
    hub.repositories["owner/gguf"] = Repository({"m.Q4.gguf": b"four", "m.Q8.gguf": b"eight", "README.md": b"read"})
    wanted = entry("hub:owner/gguf", files={"model": FileEntry(path="m.Q4.gguf")})
    store.fetch([wanted], nothing)
    assert names(store.folder(wanted)) == {"m.Q4.gguf", "latimer.json"}
    assert store.locate(wanted)["model"].read_bytes() == b"four"


def test_a_revision_may_be_a_tag_or_a_commit(hub: LoopbackHub, store: Store) -> None:
    repository = hub.repositories["owner/good"]
    repository.revisions = ("main", "v1", "refs/pr/3")
    for number, revision in enumerate(("v1", "refs/pr/3", repository.commit)):
        named = entry(f"hub:owner/good@{revision}", name=f"good{number}")
        store.fetch([named], nothing)
        record = store.record(named)
        assert record is not None
        assert record.revision == repository.commit


def test_a_new_revision_in_the_catalogue_is_fetched(hub: LoopbackHub, store: Store) -> None:
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
    assert not cache.exists()  # it was made from the replaced files


def test_a_non_commercial_licence_must_be_accepted(hub: LoopbackHub, store: Store) -> None:
    strict = entry(noncommercial=True).model_copy(update={"license": "CC-BY-NC-4.0"})
    with pytest.raises(ModelError, match=r"good: its licence \(CC-BY-NC-4\.0\) .*--accept-license"):
        store.fetch([strict], nothing)
    assert hub.asked == []
    store.fetch([strict], nothing, accept_licenses=True)
    record = store.record(strict)
    assert record is not None
    assert (record.license, record.license_accepted) == ("CC-BY-NC-4.0", True)
    assert store.fetch([strict], nothing) == []  # once is enough


def test_two_concurrent_fetches_download_a_model_once(hub: LoopbackHub, store: Store) -> None:
    fetched: list[list[str]] = []
    threads = [threading.Thread(target=lambda: fetched.append(store.fetch([entry()], nothing))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched) == [[], [], ["good"]]
    assert hub.paths().count("config.json") == 1


def test_a_fetched_model_needs_no_socket(hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.fetch([entry()], nothing)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert store.has(entry())
    store.verify(entry())
    assert all(path.is_file() for path in store.locate(entry()).values())
