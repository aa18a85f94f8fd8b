"""Tests of the catalogue's options for a student: the length of inputs and the compute type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latimer_server.backends.protocol import LoadRequest
from latimer_server.backends.registry import load_backend
from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import ModelError
from tests.conformance.conftest import never
from tests.marian_students import TINY, make_student


def ask(folder: Path, **keys: Any) -> LoadRequest:
    files = make_student(TINY, split=False, shortlist=False).write(folder)
    return LoadRequest("student", "marian_student", "translation", folder, files, **keys)


@pytest.mark.parametrize(("wanted", "limit"), [(0, 128), (50, 50), (128, 128), (500, 128), (1, 8)])
def test_the_catalogue_may_lower_the_limit_of_inputs(tmp_path: Path, wanted: int, limit: int) -> None:
    loaded: Any = load_backend(ask(tmp_path, max_input_tokens=wanted))
    assert loaded.limits.max_input_tokens == limit


@pytest.mark.parametrize(("wanted", "found"), [("", "int8"), ("int8", "int8"), ("float32", "float32")])
def test_a_student_computes_in_int8_by_default(tmp_path: Path, wanted: str, found: str) -> None:
    assert load_backend(ask(tmp_path, compute_type=wanted)).compute_type.partition("/")[0] == found


def test_the_catalogue_may_ask_for_the_whole_vocabulary(tmp_path: Path) -> None:
    files = make_student(TINY, split=False, shortlist=True).write(tmp_path)
    request = LoadRequest("student", "marian_student", "translation", tmp_path, files)
    listed: Any = load_backend(request)
    whole: Any = load_backend(replace(request, vocabulary="full"))
    assert listed.searcher.shortlist is not None
    assert whole.searcher.shortlist is None
    rows = [encoding.ids for encoding in whole.encode(["house", "the garden is big"])]
    found, searched = whole.run(rows, DecodingOptions(), never), listed.run(rows, DecodingOptions(), never)
    # The likeliest token of all is at least as likely among few candidates.
    assert found[0].log_prob <= searched[0].log_prob or found[0].ids != searched[0].ids


def test_a_file_without_multipliers_is_computed_in_float32(tmp_path: Path) -> None:
    request = ask(tmp_path)
    model = request.files["model"]
    model.write_bytes(model.read_bytes().replace(b"encoder_l1_self_Wo_QuantMultA", b"encoder_l1_self_Wo_QuantMultB"))
    assert load_backend(request).compute_type == "float32"
    with pytest.raises(ModelError, match="compute_type 'int8' is not available on cpu: this model computes in float32"):
        load_backend(replace(request, compute_type="int8"))


def test_other_compute_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="compute_type 'int4' is not available"):
        load_backend(ask(tmp_path, compute_type="int4"))
