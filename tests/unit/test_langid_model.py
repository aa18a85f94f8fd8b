"""Tests that py3langid's model is read without a temporary file, and is the same as py3langid reads it."""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import numpy as np
import pytest
from py3langid import langid

from latimer_server.text.langid_model import load_identifier

TEXTS = [
    "The bridge is closed until Monday.",
    "A ponte está fechada até segunda-feira.",
    "Eg veit ikkje kva dei skal gjere med husa sine no.",
    "Комиссия соберётся во вторник.",
    "委员会将于星期二再次开会讨论结果。",
    "",
]


@pytest.fixture
def no_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)


@pytest.mark.usefixtures("no_temporary_files")
def test_the_model_needs_no_temporary_file() -> None:
    assert load_identifier().rank(TEXTS[0])[0][0] == "en"


def test_the_identifier_is_that_of_py3langid() -> None:
    expected = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    found = load_identifier()
    assert list(found.labels) == list(expected.labels)
    for text in TEXTS:
        assert found.rank(text) == expected.rank(text)


def write_model(path: Path, *, compressed: bool) -> None:
    save = np.savez_compressed if compressed else np.savez
    archive = io.BytesIO()
    save(archive, pc=np.zeros(2))
    path.write_bytes(lzma.compress(archive.getvalue()))


@pytest.mark.parametrize(("compressed", "complaint"), [(True, "compressed"), (False, "has no 'ptc'")])
def test_a_model_of_another_layout_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, compressed: bool, complaint: str
) -> None:
    monkeypatch.setattr(langid, "MODEL_DIR", tmp_path)
    monkeypatch.setattr(langid, "MODEL_FILE", "model")
    write_model(tmp_path / "model", compressed=compressed)
    with pytest.raises(ValueError, match=complaint):
        load_identifier()
