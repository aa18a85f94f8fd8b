"""Tests of the inventory of local models: fetched models and the languages in their files, with few disk accesses."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from latimer_server.core.errors import ModelFileError
from latimer_server.models.catalog.catalog import Catalog, CatalogEntry, FileEntry, Task
from latimer_server.models.store.local_models import LocalModels
from latimer_server.models.store.store import Store


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class CountingStore(Store):
    """A store that counts its disk checks."""

    looks = 0

    def has(self, entry: CatalogEntry) -> bool:
        self.looks += 1
        return super().has(entry)


def make_model(folder: Path, content: Mapping[str, object], **keys: Any) -> CatalogEntry:
    """Writes a Marian model with these JSON files; the folder's last change lies long ago."""
    place = folder / "model"
    place.mkdir(exist_ok=True)
    for name, data in content.items():
        (place / name).write_text(json.dumps(data))
    age(place)
    fields: dict[str, Any] = {
        "name": "model",
        "task": Task.TRANSLATION,
        "family": "marian",
        "backend": "transformers",
        "source_languages": ("en",),
        "source": f"dir:{place}",
        "files": {name: FileEntry(path=name) for name in content},
    }
    return CatalogEntry(**fields | keys)


def age(folder: Path) -> None:
    """Sets the last change of a folder to an old time."""
    stat = folder.stat()
    os.utime(folder, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10_000_000_000))


def open_inventory(entry: CatalogEntry, folder: Path) -> tuple[LocalModels, CountingStore, Clock]:
    store, clock = CountingStore(folder / "store"), Clock()
    return LocalModels(Catalog({entry.name: entry}), store, clock), store, clock


VOCABULARY = {"</s>": 0, ">>por<<": 1, ">>pob<<": 2, ">>glg<<": 3}


def test_the_targets_of_a_model_come_from_its_vocabulary(tmp_path: Path) -> None:
    local_models, _, _ = open_inventory(make_model(tmp_path, {"vocab.json": VOCABULARY}), tmp_path)
    local = local_models.get("model")
    assert local.entry.target_languages == ("gl", "pt", "pt-BR")
    assert local.entry.source_languages == ("en",)
    assert local.tokens == {"gl": "glg", "pt": "por", "pt-BR": "pob"}


def test_both_of_two_separate_vocabularies_are_read(tmp_path: Path) -> None:
    files = {"vocab.json": {">>por<<": 1}, "target_vocab.json": {">>glg<<": 1}}
    local_models, _, _ = open_inventory(make_model(tmp_path, files), tmp_path)
    assert local_models.get("model").entry.target_languages == ("gl", "pt")


def test_a_vocabulary_without_language_tokens_has_one_target(tmp_path: Path) -> None:
    entry = make_model(tmp_path, {"vocab.json": {"</s>": 0}}, target_languages=("de",))
    local = open_inventory(entry, tmp_path)[0].get("model")
    assert (local.entry, local.tokens, local.error) == (entry, {}, "")


def test_listed_languages_that_the_vocabulary_lacks_are_dropped_with_one_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = make_model(tmp_path, {"vocab.json": VOCABULARY}, target_languages=("pt", "fr", "it"))
    local_models, _, clock = open_inventory(entry, tmp_path)
    with caplog.at_level(logging.WARNING):
        assert local_models.get("model").entry.target_languages == ("pt",)
        (tmp_path / "model" / "more").touch()
        clock.now += 10
        assert local_models.get("model").entry.target_languages == ("pt",)
    assert [(r.__dict__["model"], r.__dict__["languages"]) for r in caplog.records] == [("model", "fr it")]


def test_a_model_without_any_of_its_listed_languages_is_named(tmp_path: Path) -> None:
    entry = make_model(tmp_path, {"vocab.json": VOCABULARY}, target_languages=("fr", "it"))
    error = open_inventory(entry, tmp_path)[0].get("model").error
    assert error == "the vocabulary of model has none of the languages that the catalogue lists: fr, it"


def test_listed_tokens_are_used_if_the_vocabulary_has_them(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"target_languages": ("pt", "fr"), "language_tokens": {"pt": "pob", "fr": "fra"}}
    local = open_inventory(make_model(tmp_path, {"vocab.json": VOCABULARY}, **keys), tmp_path)[0].get("model")
    assert local.entry.target_languages == ("pt",)
    assert local.tokens == {"pt": "pob"}


def test_source_and_target_are_checked_for_models_with_tokens_for_both(tmp_path: Path) -> None:
    files: dict[str, object] = {"special_tokens_map.json": {"additional_special_tokens": ["por_Latn", "eng_Latn"]}}
    entry = make_model(
        tmp_path, files, family="nllb", source_languages=("en", "de"), target_languages=("pt", "en", "fr")
    )
    local = open_inventory(entry, tmp_path)[0].get("model")
    assert local.entry.source_languages == ("en",)
    assert local.entry.target_languages == ("pt", "en")
    assert local.tokens == {"pt": "por_Latn", "en": "eng_Latn"}


def test_the_large_file_is_read_only_if_the_small_ones_list_no_languages(tmp_path: Path) -> None:
    files: dict[str, object] = {"tokenizer_config.json": {}, "tokenizer.json": {"added_tokens": ["__pt__", "__en__"]}}
    entry = make_model(tmp_path, files, family="m2m100", source_languages=())
    assert open_inventory(entry, tmp_path)[0].get("model").entry.source_languages == ("en", "pt")


def test_the_disk_is_read_again_only_when_the_folder_changed(tmp_path: Path) -> None:
    local_models, store, clock = open_inventory(make_model(tmp_path, {"vocab.json": VOCABULARY}), tmp_path)
    first = local_models.get("model")
    for _ in range(100):
        clock.now += 1
        assert local_models.get("model") is first
    assert store.looks == 1


def test_new_and_removed_models_are_seen_within_a_second(tmp_path: Path) -> None:
    local_models, _, clock = open_inventory(make_model(tmp_path, {"vocab.json": VOCABULARY}), tmp_path)
    entry = local_models.get("model").entry
    shutil.move(tmp_path / "model", tmp_path / "away")
    clock.now += 1
    assert not local_models.get("model").fetched
    shutil.move(tmp_path / "away", tmp_path / "model")
    clock.now += 1
    assert local_models.get("model").fetched
    assert local_models.get("model").entry == entry
    (tmp_path / "model" / "vocab.json").write_text(json.dumps({">>fra<<": 1}))
    (tmp_path / "model" / "touched").touch()
    clock.now += 1
    assert local_models.get("model").entry.target_languages == ("fr",)


def test_the_time_of_a_recent_change_is_not_trusted(tmp_path: Path) -> None:
    local_models, _, clock = open_inventory(make_model(tmp_path, {"vocab.json": VOCABULARY}), tmp_path)
    place = tmp_path / "model"
    place.touch()
    before = place.stat()
    assert local_models.get("model").fetched
    (place / "vocab.json").unlink()
    os.utime(
        place, ns=(before.st_atime_ns, before.st_mtime_ns)
    )  # like a change within one tick of the file system's clock
    clock.now += 1
    assert not local_models.get("model").fetched


M2M100 = {"additional_special_tokens": ["__en__", "__pt__"]}
NLLB = {"additional_special_tokens": ["eng_Latn", "por_Latn"]}


@pytest.mark.parametrize(
    ("model_type", "files", "tokens"),
    [
        ("marian", {"vocab.json": VOCABULARY}, {"gl": "glg", "pt": "por", "pt-BR": "pob"}),
        ("m2m_100", {"special_tokens_map.json": M2M100}, {"en": "en", "pt": "pt"}),
        ("m2m_100", {"special_tokens_map.json": NLLB}, {"en": "eng_Latn", "pt": "por_Latn"}),
        ("mbart", {"special_tokens_map.json": {"x": ["pt_XX", "en_XX"]}}, {"en": "en_XX", "pt": "pt_XX"}),
        ("t5", {"vocab.json": VOCABULARY}, {}),
    ],
)
@pytest.mark.parametrize("family", ["opus-mt", "whatever I call it", "nllb", "marian"])
def test_the_family_in_the_model_files_overrides_the_catalogue(
    tmp_path: Path, model_type: str, files: dict[str, object], tokens: dict[str, str], family: str
) -> None:
    entry = make_model(tmp_path, files | {"config.json": {"model_type": model_type}}, family=family)
    assert open_inventory(entry, tmp_path)[0].get("model").tokens == tokens


@pytest.mark.parametrize("config", [{}, {"model_type": None}, {"model_type": 5}, []])
def test_the_family_comes_from_the_catalogue_if_the_config_lacks_it(tmp_path: Path, config: object) -> None:
    entry = make_model(tmp_path, {"vocab.json": VOCABULARY, "config.json": config})
    assert open_inventory(entry, tmp_path)[0].get("model").tokens == {"gl": "glg", "pt": "por", "pt-BR": "pob"}


@pytest.mark.parametrize("family", ["marian", "MarianMT", "opus-mt", "OPUS MT"])
def test_a_family_may_be_spelt_in_several_ways(tmp_path: Path, family: str) -> None:
    entry = make_model(tmp_path, {"vocab.json": VOCABULARY}, family=family)
    assert open_inventory(entry, tmp_path)[0].get("model").tokens == {"gl": "glg", "pt": "por", "pt-BR": "pob"}


@pytest.mark.parametrize(
    ("targets", "refused"),
    [
        (("de", "fr"), True),
        (("sr-Latn", "sr-Cyrl"), True),
        (("de",), False),
        (("pt", "pt-BR"), False),
        (("zh", "zh-Hans"), False),
        ((), False),
    ],
)
@pytest.mark.parametrize("family", ["marian", "t5", "marian-student"])
def test_several_targets_are_refused_if_the_model_has_no_language_tokens(
    tmp_path: Path, targets: tuple[str, ...], refused: bool, family: str
) -> None:
    entry = make_model(tmp_path, {"vocab.json": {"</s>": 0}}, target_languages=targets, family=family)
    error = open_inventory(entry, tmp_path)[0].get("model").error
    expected = (
        f"the catalogue lists several target languages ({', '.join(targets)}), "
        "but the vocabulary of model has no language token to select one of them"
    )
    assert error == (expected if refused else "")


def test_the_languages_of_other_families_come_from_the_catalogue(tmp_path: Path) -> None:
    entry = make_model(tmp_path, {"vocab.json": VOCABULARY}, family="marian-student", target_languages=("de",))
    assert open_inventory(entry, tmp_path)[0].get("model").entry is entry


def test_a_new_folder_inside_a_model_is_watched_too(tmp_path: Path) -> None:
    entry = make_model(tmp_path, {}, files={"vocab.json": FileEntry(path="deep/vocab.json")})
    local_models, _, clock = open_inventory(entry, tmp_path)
    assert not local_models.get("model").fetched
    deep = tmp_path / "model" / "deep"
    deep.mkdir()
    (deep / "vocab.json").write_text("{}")
    for folder in (tmp_path / "model", deep):
        age(folder)
    clock.now += 1
    assert local_models.get("model").fetched
    (deep / "vocab.json").unlink()
    clock.now += 1
    assert not local_models.get("model").fetched


def test_an_error_of_the_store_is_reported_as_the_models_error(tmp_path: Path) -> None:
    class BrokenStore(Store):
        def has(self, entry: CatalogEntry) -> bool:
            raise ModelFileError("model/record.json", "is no record")

    entry = make_model(tmp_path, {"vocab.json": VOCABULARY})
    local_models = LocalModels(Catalog({"model": entry}), BrokenStore(tmp_path / "store"))
    assert local_models.get("model").error == "model/record.json: is no record"
