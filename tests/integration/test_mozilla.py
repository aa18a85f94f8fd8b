"""Tests of the source `mozilla:` against a registry and a bucket on the loopback interface."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry, Task
from latimer_server.models.store.store import Store
from tests.loopback import LoopbackRegistry

SHARED = {"model": b"weights" * 10_000, "lexicalShortlist": b"lex" * 5_000, "vocab": b"pieces" * 500}
SPLIT = {"model": b"WEIGHTS" * 9_000, "lexicalShortlist": b"LEX" * 400, "srcVocab": b"source", "trgVocab": b"target"}
MODEL = "model.deen.intgemm.alphas.bin"


def nothing(*_: object) -> None:
    """Ignores progress reports."""


@pytest.fixture
def registry() -> Iterator[LoopbackRegistry]:
    registry = LoopbackRegistry()
    registry.add("de-en", "run_A", SHARED, chrf=60.0)
    with registry.running():
        yield registry


@pytest.fixture
def store(tmp_path: Path, registry: LoopbackRegistry) -> Store:
    return Store(tmp_path / "store", registry.registry_url)


def entry(pair: str = "de-en") -> CatalogEntry:
    return CatalogEntry(
        name=f"firefox-{pair.replace('_', '-')}",
        task=Task.TRANSLATION,
        family="marian-student",
        backend="marian_student",
        source=f"mozilla:{pair}",
        license="MPL-2.0",
    )


def fetched_weights(store: Store) -> bytes:
    store.fetch([entry()], nothing)
    return store.locate(entry())["model"].read_bytes()


def test_a_student_is_fetched_and_unpacked_and_its_files_are_named_by_role(
    registry: LoopbackRegistry, store: Store
) -> None:
    progress: list[tuple[str, int, int]] = []
    assert store.fetch([entry()], lambda *step: progress.append(step)) == ["firefox-de-en"]
    store.verify(entry())
    files = store.locate(entry())
    assert {key: path.read_bytes() for key, path in files.items()} == {
        "model": SHARED["model"],
        "shortlist": SHARED["lexicalShortlist"],
        "vocabulary": SHARED["vocab"],
    }
    assert files["model"].name == MODEL
    assert {path.name for path in store.folder(entry()).iterdir()} == {p.name for p in files.values()} | {
        "latimer.json"
    }
    record = store.record(entry())
    assert record is not None
    assert record.revision == "tiny run_A"
    total = sum(len(content) for path, content in registry.files.items())
    assert progress[-1] == ("firefox-de-en", total, total)
    assert store.fetch([entry()], nothing) == []


def test_two_vocabularies_keep_their_names(registry: LoopbackRegistry, store: Store) -> None:
    registry.add("en-zh_hant", "run", SPLIT, architecture="base-memory")
    student = entry("en-zh_hant")
    store.fetch([student], nothing)
    files = store.locate(student)
    assert set(files) == {"model", "shortlist", "source_vocabulary", "target_vocabulary"}
    assert files["source_vocabulary"].read_bytes() == b"source"
    assert files["target_vocabulary"].read_bytes() == b"target"


@pytest.mark.parametrize(
    ("status", "chrf", "taken"),
    [
        ("Release", 61.0, True),
        ("Release", 59.0, False),
        ("Release Desktop", 61.0, True),
        ("Release Android", 61.0, True),
        ("Nightly", 99.0, False),
        (None, 99.0, False),
        ("Release", None, False),
    ],
)
def test_released_models_come_first_then_those_with_the_better_chrf(
    registry: LoopbackRegistry, store: Store, status: str | None, chrf: float | None, taken: bool
) -> None:
    other = {**SHARED, "model": b"other weights"}
    registry.add("de-en", "run_B", other, status=status, chrf=chrf, architecture="base")
    assert fetched_weights(store) == (other if taken else SHARED)["model"]


def test_the_larger_model_is_taken_if_no_scores_are_published(registry: LoopbackRegistry, store: Store) -> None:
    registry.models.clear()
    for architecture in ("base-memory", "base", "tiny"):
        registry.add("de-en", architecture, {**SHARED, "model": architecture.encode()}, architecture=architecture)
    assert fetched_weights(store) == b"base"


def test_chrf_is_the_mean_over_the_test_sets(registry: LoopbackRegistry, store: Store) -> None:
    registry.add("de-en", "run_B", {**SHARED, "model": b"uneven"}, chrf=90.0)
    registry.models["de-en"][1]["metrics"]["wmt24pp"] = {"chrf": 10.0, "comet22": 0.9}
    assert fetched_weights(store) == SHARED["model"]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {"files": None},
        {"files": {"model": {"path": 3}}},
        {"files": {"model": {"path": "../../x.gz"}, "vocab": {}}},
        {"releaseStatus": "Release", "files": {"model": {"path": "m/model.gz", "uncompressedHash": "zz"}}},
        {"releaseStatus": ["?"], "metrics": "none", "files": {"vocab": {"path": "v.gz"}}},
    ],
)
def test_malformed_records_are_ignored(registry: LoopbackRegistry, store: Store, odd: Any) -> None:
    registry.models["de-en"].insert(0, odd)
    assert fetched_weights(store) == SHARED["model"]


@pytest.mark.parametrize("listed", [None, [], {}, [None], "text"])
def test_the_error_for_a_pair_without_a_model_suggests_similar_pairs(
    registry: LoopbackRegistry, store: Store, listed: Any
) -> None:
    registry.models |= {"de-en": listed, "en-de": [], "fr-en": [], "en-fr": []}
    with pytest.raises(ModelError, match=r"firefox-de-en: .* has no model de-en .*; similar pairs: .*en-de"):
        store.fetch([entry()], nothing)


@pytest.mark.parametrize("models", [None, [], "text"])
def test_a_registry_of_another_form_is_reported(registry: LoopbackRegistry, store: Store, models: Any) -> None:
    registry.models = models
    with pytest.raises(
        ModelError, match=r"firefox-de-en: http.*models\.json: is not a valid registry .* no table of models"
    ):
        store.fetch([entry()], nothing)


@pytest.mark.parametrize("text", [b"", b"<html>", b"[1, 2]", b"\xff\xfe\x00"])
def test_a_registry_that_is_no_json_is_reported(registry: LoopbackRegistry, store: Store, text: bytes) -> None:
    registry.faults.lies["models.json"] = text
    with pytest.raises(ModelError, match=r"firefox-de-en: http.*models\.json: is not a valid registry"):
        store.fetch([entry()], nothing)


@pytest.mark.parametrize("suffix", [".zst", ".xz", ""])
def test_another_compression_is_refused_by_name(registry: LoopbackRegistry, store: Store, suffix: str) -> None:
    registry.models["de-en"][0]["files"]["vocab"]["path"] = f"models/de-en/vocab.deen.spm{suffix}"
    with pytest.raises(ModelFileError, match=rf"firefox-de-en/vocab\.deen\.spm{suffix}: is not compressed as \.gz"):
        store.fetch([entry()], nothing)


def test_a_model_with_another_digest_is_refused_and_fetched_again(registry: LoopbackRegistry, store: Store) -> None:
    registry.faults.lies[f"{MODEL}.gz"] = gzip.compress(SHARED["model"][::-1])
    with pytest.raises(ModelFileError, match=rf"firefox-de-en/{MODEL}: came with the digest .*its source publishes"):
        store.fetch([entry()], nothing)
    assert not store.folder(entry()).exists()
    registry.faults.lies.clear()
    assert fetched_weights(store) == SHARED["model"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage"])
def test_a_damaged_file_is_named_and_fetched_again(registry: LoopbackRegistry, store: Store, damage: str) -> None:
    packed = next(content for path, content in registry.files.items() if "vocab" in path)
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # its checksum
    registry.faults.lies["vocab.deen.spm.gz"] = {"cut": packed[:-9], "flipped": bytes(flipped), "garbage": b"?"}[damage]
    with pytest.raises(ModelFileError, match=r"firefox-de-en/vocab\.deen\.spm\.gz: is damaged"):
        store.fetch([entry()], nothing)
    assert not store.folder(entry()).exists()
    registry.faults.lies.clear()
    store.fetch([entry()], nothing)
    store.verify(entry())


def test_unpacking_stops_at_the_published_size(registry: LoopbackRegistry, store: Store) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    registry.faults.lies[f"{MODEL}.gz"] = bomb
    with pytest.raises(ModelFileError, match=f"{MODEL}: unpacks to more than 70,000 bytes"):
        store.fetch([entry()], nothing)
    staging = store.folder(entry()).parent / ".fetching"
    assert not [path for path in staging.rglob("*") if path.is_file() and path.stat().st_size > 1 << 20]


def test_a_broken_connection_is_resumed_by_the_next_fetch(registry: LoopbackRegistry, store: Store) -> None:
    packed = next(content for path, content in registry.files.items() if "lex" in path)
    cut = len(packed) // 2
    registry.faults.cut["lex.50.50.deen.s2t.bin.gz"] = [cut]
    with pytest.raises(ModelError, match=r"firefox-de-en: http.*lex\.50\.50\.deen\.s2t\.bin\.gz: .*fetch again"):
        store.fetch([entry()], nothing)
    assert not store.folder(entry()).exists()
    registry.asked.clear()
    store.fetch([entry()], nothing)
    store.verify(entry())
    assert registry.ranges("lex.50.50.deen.s2t.bin.gz") == [f"bytes={cut}-"]
    # Complete files are not sent again.
    assert registry.ranges(f"{MODEL}.gz") == [f"bytes={len(gzip.compress(SHARED['model'], mtime=0))}-"]


@pytest.mark.parametrize("name", ["models.json", f"{MODEL}.gz"])
@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_names_model_file_and_status(
    registry: LoopbackRegistry, store: Store, name: str, status: int
) -> None:
    registry.faults.status[name] = status
    with pytest.raises(ModelError, match=rf"firefox-de-en: http.*{name}: the server answered HTTP {status}"):
        store.fetch([entry()], nothing)


def test_an_unreachable_registry_is_reported(tmp_path: Path) -> None:
    silent = LoopbackRegistry()
    silent.close()
    with pytest.raises(ModelError, match=r"firefox-de-en: http.*models\.json: cannot be reached"):
        Store(tmp_path, silent.registry_url).fetch([entry()], nothing)


def test_a_full_disk_is_reported(registry: LoopbackRegistry, store: Store) -> None:
    staging = store.folder(entry()).parent / ".fetching" / "firefox-de-en"
    staging.mkdir(parents=True)
    (staging / MODEL).symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"firefox-de-en: the disk is full"):
        store.fetch([entry()], nothing)
    assert not store.folder(entry()).exists()
    (staging / MODEL).unlink()
    assert fetched_weights(store) == SHARED["model"]


def test_the_record_has_the_digest_of_every_file(registry: LoopbackRegistry, store: Store) -> None:
    store.fetch([entry()], nothing)
    record = store.record(entry())
    assert record is not None
    assert record.files["vocabulary"].sha256 == hashlib.sha256(SHARED["vocab"]).hexdigest()
    path = store.locate(entry())["vocabulary"]
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(ModelFileError, match=r"firefox-de-en/vocab\.deen\.spm: has changed"):
        store.verify(entry())
