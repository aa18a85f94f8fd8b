"""Files of packages come out byte for byte; data/README.md lists their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.files.round_trips import read_texts, translate_file

FILES = sorted(path for path in (Path(__file__).parent / "data").iterdir() if path.suffix in (".ass", ".srt", ".vtt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_packages_come_out_as_they_were(path: Path) -> None:
    assert read_texts(path)
    assert translate_file(path) == path.read_bytes()
