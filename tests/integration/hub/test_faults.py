"""Tests of faults during a fetch from the hub: a clear error, a later resume, and no partial files in place."""

from __future__ import annotations

import hashlib
import shutil

import pytest
from huggingface_hub import constants

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import FileEntry
from latimer_server.models.store.store import Store
from tests.integration.hub.model import MARIAN, WEIGHTS, entry, names, nothing
from tests.loopback import LoopbackHub, Repository


def test_a_broken_connection_is_resumed(hub: LoopbackHub, store: Store) -> None:
    hub.faults.cut["model.safetensors"] = [30_000, 20_000]
    store.fetch([entry()], nothing)
    store.verify(entry())
    assert hub.ranges("/resolve/" + hub.repositories["owner/good"].commit + "/model.safetensors") == [
        "", "bytes=30000-", "bytes=50000-",
    ]  # fmt: skip


def test_a_failed_fetch_is_resumed_by_the_next_one(hub: LoopbackHub, store: Store) -> None:
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
    assert "vocab.json" not in hub.paths()  # it was complete already


def test_a_server_that_ignores_ranges_sends_the_whole_file(hub: LoopbackHub, store: Store) -> None:
    hub.faults.cut["model.safetensors"] = [40_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ModelError):
        store.fetch([entry()], nothing)
    (part,) = (store.folder(entry()).parent / ".fetching" / "good").glob("*.part")
    part.write_bytes(b"x" * (len(WEIGHTS) + 5))  # longer than the file, so that no range can follow it
    hub.faults.cut.clear()
    store.fetch([entry()], nothing)
    store.verify(entry())


def test_files_that_changed_since_a_broken_fetch_are_fetched_again(hub: LoopbackHub, store: Store) -> None:
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


def test_a_mirror_whose_listing_has_only_names_is_asked_for_each_file(hub: LoopbackHub, store: Store) -> None:
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
def test_a_missing_repository_or_revision_is_named(hub: LoopbackHub, store: Store, source: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as raised:
        store.fetch([entry(source)], nothing)
    assert "\n" not in str(raised.value)


def test_the_error_of_a_gated_repository_says_what_to_do(
    hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["owner/gated"] = Repository(dict(MARIAN), token="right", gated=True)
    for token in ("", "wrong"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(ModelError, match=r"good: hub:owner/gated.*is gated: .*HF_TOKEN") as raised:
            store.fetch([entry("hub:owner/gated")], nothing)
        assert "\n" not in str(raised.value)
    monkeypatch.setenv("HF_TOKEN", "right")
    assert store.fetch([entry("hub:owner/gated")], nothing) == ["good"]  # the CDN asserts that it gets no token


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


def test_an_unreachable_hub_is_reported(hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = LoopbackHub()  # its server is closed below, so nothing answers
    silent.close()
    monkeypatch.setattr(constants, "ENDPOINT", silent.url)
    with pytest.raises(ModelError, match="good: hub:owner/good: the hub cannot be reached") as raised:
        store.fetch([entry()], nothing)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b"{}", b'{"id": "x", "sha": "1", "siblings": [{}]}', b'{"id": "x", "siblings": []}']
)
def test_a_malformed_answer_of_the_hub_is_reported(hub: LoopbackHub, store: Store, answer: bytes) -> None:
    hub.faults.lies[""] = answer
    with pytest.raises(
        ModelError, match=r"good: hub:owner/good: the server's answer is not that of a model hub"
    ) as raised:
        store.fetch([entry()], nothing)
    assert "\n" not in str(raised.value)


def test_a_server_that_is_no_hub_is_reported(hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_an_incomplete_repository_is_refused_before_the_fetch(
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
        store.verify(entry())  # the operator withdrew the permission


def test_a_full_disk_is_reported_and_the_fetch_is_resumed_later(hub: LoopbackHub, store: Store) -> None:
    staging = store.folder(entry()).parent / ".fetching" / "good"
    staging.mkdir(parents=True)
    full = staging / f"model.safetensors.{hashlib.sha256(WEIGHTS).hexdigest()[:16]}.part"
    full.symlink_to("/dev/full")  # every write to it fails as on a full disk
    with pytest.raises(ModelError, match=r"good: the disk is full .*No space left.*model\.safetensors") as raised:
        store.fetch([entry()], nothing)
    assert "\n" not in str(raised.value)
    assert not store.folder(entry()).exists()
    full.unlink()
    store.fetch([entry()], nothing)
    store.verify(entry())


def test_too_little_disk_space_is_reported_before_the_fetch(
    hub: LoopbackHub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"good: needs 102,\d+ more bytes, .* has 1,000 free"):
        store.fetch([entry()], nothing)
    assert len(hub.asked) == 1


def test_models_that_were_fetched_before_a_fault_are_kept(hub: LoopbackHub, store: Store) -> None:
    first, second = entry(name="first"), entry("hub:owner/none", name="second")
    with pytest.raises(ModelError, match="second: hub:owner/none"):
        store.fetch([first, second], nothing)
    store.verify(first)


def test_the_old_files_are_kept_until_the_new_ones_are_complete(hub: LoopbackHub, store: Store) -> None:
    store.fetch([entry()], nothing)
    hub.repositories["owner/good"].revisions = ("main", "v2")
    hub.repositories["owner/good"].files["model.safetensors"] = WEIGHTS[::-1]
    hub.faults.lies["model.safetensors"] = b"nonsense" * 12_800
    with pytest.raises(ModelFileError):
        store.fetch([entry("hub:owner/good@v2")], nothing)
    store.verify(entry())


@pytest.mark.parametrize("file", sorted(MARIAN))
def test_verify_names_any_changed_or_missing_file(hub: LoopbackHub, store: Store, file: str) -> None:
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


OUTSIDE = '{"source": "hub:owner/good", "files": {"x": {"path": "../good/x", "sha256": "%s", "size": 1}}}' % ("0" * 64)


@pytest.mark.parametrize("text", ["", "{", "[]", OUTSIDE])
def test_a_broken_record_is_named_and_the_model_is_fetched_again(hub: LoopbackHub, store: Store, text: str) -> None:
    store.fetch([entry()], nothing)
    (store.folder(entry()) / "latimer.json").write_text(text)
    assert not store.has(entry())
    with pytest.raises(ModelFileError, match=r"good/latimer\.json: is malformed"):
        store.verify(entry())
    assert store.fetch([entry()], nothing) == ["good"]


def test_a_damaged_partial_file_is_discarded_and_the_file_is_fetched_again(hub: LoopbackHub, store: Store) -> None:
    hub.faults.lies["model.safetensors"] = WEIGHTS[::-1][:50_000]
    with pytest.raises(ModelFileError, match=r"good/model\.safetensors: came with 50,000 bytes, the hub lists 102,400"):
        store.fetch([entry()], nothing)
    hub.faults.lies.clear()
    hub.asked.clear()
    progress: list[tuple[str, int, int]] = []
    store.fetch([entry()], lambda *step: progress.append(step))
    store.verify(entry())
    assert hub.ranges("good/model.safetensors") == ["bytes=50000-", ""]
    total = sum(map(len, MARIAN.values()))
    assert progress[-1] == ("good", total, total)
