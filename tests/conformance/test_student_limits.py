"""What a catalogue may say of a student: how long its inputs are, and nothing of the type that it computes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from latimer_server.backends import load_backend
from latimer_server.backends.base import LoadRequest
from latimer_server.errors import ModelError
from tests.marian_students import TINY, make_student


def ask(folder: Path, **keys: Any) -> LoadRequest:
    files = make_student(TINY, split=False, shortlist=False).write(folder)
    return LoadRequest("student", "marian_student", "translation", folder, files, **keys)


@pytest.mark.parametrize(("wanted", "limit"), [(0, 128), (50, 50), (128, 128), (500, 128), (1, 8)])
def test_a_student_may_be_told_to_read_less(tmp_path: Path, wanted: int, limit: int) -> None:
    loaded: Any = load_backend(ask(tmp_path, max_input_tokens=wanted))
    assert loaded.limits.max_input_tokens == limit


def test_a_student_computes_in_one_type(tmp_path: Path) -> None:
    load_backend(ask(tmp_path, compute_type="float32"))
    with pytest.raises(ModelError, match="compute_type 'int8' is none of marian_student's; it computes in float32"):
        load_backend(ask(tmp_path, compute_type="int8"))
