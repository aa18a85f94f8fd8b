"""Tests of reading Marian's files, which are untrusted: any inconsistency is a clear error."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.core.errors import ModelFileError
from tests.marian_files import CONFIG, config_item, floats, matrix, model_items, write_model, write_shortlist

GOOD = write_model({"a": floats(1.0, 2.0), "m": matrix(2, 3), "special:model.yml": config_item(CONFIG)})


def test_items_are_read_as_they_were_written_without_their_padding() -> None:
    file = MarianFile(GOOD, "model.bin")
    assert file.float_vector("a", 2).tolist() == [1.0, 2.0]
    assert file.names == {"a", "m", "special:model.yml"}
    assert "m" in file
    assert file.config["dec-cell"] == "ssru"


def test_a_matrix_that_is_stored_transposed_is_read_transposed() -> None:
    file = MarianFile(GOOD, "model.bin")
    as_stored = file.matrix("m", 2, 3, transposed=False)
    transposed = file.matrix("m", 2, 3, transposed=True)
    assert as_stored.values.shape == (2, 3)
    assert transposed.values.shape == (3, 2)
    assert as_stored.values.ravel().tolist() == transposed.values.ravel().tolist()
    np.testing.assert_allclose(as_stored.dequantize(), as_stored.values / 127.0, rtol=1e-6)


@pytest.mark.parametrize("length", range(0, len(GOOD), 13))
def test_a_truncated_file_is_refused_by_name(length: int) -> None:
    with pytest.raises(ModelFileError, match=r"model\.bin"):
        MarianFile(GOOD[:length], "model.bin")


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_header_is_an_error_or_harmless(data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    try:
        file = MarianFile(bytes(damaged), "model.bin")
        file.float_vector("a", 2)
    except ModelFileError as error:
        assert str(error).startswith("model.bin: ")  # noqa: PT017 (a harmless change raises no error)


@pytest.mark.parametrize(
    ("offset", "value", "complaint"),
    [
        (0, 2, "version"),
        (8, 1 << 60, "items"),
        (16, 1 << 62, "name"),
        (32, 1 << 40, "dimensions"),
        (40, 1 << 63, "cut off"),
        (16, 0, "name"),
    ],
)
def test_a_size_beyond_the_end_of_the_file_is_refused_without_an_allocation(
    offset: int, value: int, complaint: str
) -> None:
    hostile = bytearray(GOOD)
    struct.pack_into("<Q", hostile, offset, value)
    with pytest.raises(ModelFileError, match=complaint):
        MarianFile(bytes(hostile), "model.bin")


@pytest.mark.parametrize("shape", [(0, 5), (-1, 5), (1 << 30, 1 << 30), (2_000_000_000,)])
def test_a_shape_with_too_little_data_is_refused(shape: tuple[int, ...]) -> None:
    items = {"special:model.yml": config_item(CONFIG), "w": (0x404, shape, b"\0" * 16)}
    with pytest.raises(ModelFileError, match="w"):
        MarianFile(write_model(items), "model.bin")


def test_missing_items_wrong_types_and_wrong_shapes_are_named() -> None:
    file = MarianFile(GOOD, "model.bin")
    with pytest.raises(ModelFileError, match="no item nothing"):
        file.float_vector("nothing", 2)
    with pytest.raises(ModelFileError, match="m is of type intgemm8"):
        file.float_vector("m", 6)
    with pytest.raises(ModelFileError, match=r"a has shape \(1, 2\)"):
        file.float_vector("a", 3)
    with pytest.raises(ModelFileError, match=r"m has shape \(2, 3\)"):
        file.matrix("m", 3, 2, transposed=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_infinite_values_and_nan_are_refused(value: float) -> None:
    items = {"special:model.yml": config_item(CONFIG), "a": floats(value)}
    with pytest.raises(ModelFileError, match="not finite"):
        MarianFile(write_model(items), "model.bin").float_vector("a", 1)


@pytest.mark.parametrize("multiplier", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_multiplier_is_refused(multiplier: float) -> None:
    items = {
        "special:model.yml": config_item(CONFIG),
        "m": (0x4101, (1, 4), b"\1\2\3\4" + struct.pack("<f", multiplier)),
    }
    with pytest.raises(ModelFileError, match="multiplier"):
        MarianFile(write_model(items), "model.bin").matrix("m", 1, 4, transposed=False)


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        b"[1, 2",
        b"- a list",
        b"!!python/object:os.system {}",
        b"[" * 5_000,
        b"type: !!timestamp foo",
        b"type: !!bool x",
        b"type: !!int ''",
        BOMB.encode(),
    ],
)
def test_a_configuration_must_be_a_mapping(text: bytes) -> None:
    with pytest.raises(ModelFileError, match=r"special:model\.yml"):
        MarianFile(write_model({"special:model.yml": (0x101, (len(text),), text)}), "model.bin")


def test_a_file_without_a_configuration_is_refused() -> None:
    with pytest.raises(ModelFileError, match=r"special:model\.yml"):
        MarianFile(write_model({"a": floats(1.0)}), "model.bin")


def test_a_complete_model_can_be_written_and_read() -> None:
    file = MarianFile(write_model(model_items()), "model.bin")
    assert file.matrix("encoder_l1_ffn_W1", 8, 16, transposed=True).values.shape == (16, 8)


def test_candidates_are_the_first_ids_and_the_ids_of_each_source_token() -> None:
    lists: list[list[int]] = [[], [7, 9], [8], [1, 7], *[[]] * 6]
    shortlist = Shortlist(write_shortlist(lists, first=2), 10, 10, "lex.bin", shared=False)
    assert shortlist.candidates([1, 3, 3]).tolist() == [0, 1, 7, 9]
    assert shortlist.candidates([0]).tolist() == [0, 1]


def test_with_a_shared_vocabulary_source_tokens_are_candidates() -> None:
    lists: list[list[int]] = [[], [7, 9], [8], [1, 7], *[[]] * 6]
    shortlist = Shortlist(write_shortlist(lists, first=2), 10, 10, "lex.bin", shared=True)
    assert shortlist.candidates([3, 5, 3]).tolist() == [0, 1, 3, 5, 7]


def test_a_shortlist_maps_ids_of_one_vocabulary_to_ids_of_another() -> None:
    lists: list[list[int]] = [[], [40, 49], [3]]
    shortlist = Shortlist(write_shortlist(lists, first=2), 3, 50, "lex.bin", shared=False)
    assert shortlist.candidates([1, 2]).tolist() == [0, 1, 3, 40, 49]
    with pytest.raises(ModelFileError, match="past the vocabulary"):
        Shortlist(write_shortlist(lists, first=2), 3, 49, "lex.bin", shared=False)
    with pytest.raises(ModelFileError, match="vocabulary of 3 tokens, the model has 50"):
        Shortlist(write_shortlist(lists, first=2), 50, 50, "lex.bin", shared=False)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "header"),
        (write_shortlist([[]] * 10, magic=1), "not a binary lexical shortlist"),
        (write_shortlist([[1]] * 10)[:-1], "do not hold"),
        (write_shortlist([[1]] * 10) + b"\0\0\0\0", "do not hold"),
        (write_shortlist([[1]] * 9), "vocabulary of 9"),
        (write_shortlist([[10]] * 10), "past the vocabulary"),
        (write_shortlist([[1]] * 10, first=1 << 40), "past the vocabulary"),
        (write_shortlist([[1]] * 10, first=0), "never end"),
    ],
)
def test_a_shortlist_that_does_not_fit_is_refused_by_name(data: bytes, complaint: str) -> None:
    with pytest.raises(ModelFileError, match=rf"lex\.bin: .*{complaint}"):
        Shortlist(data, 10, 10, "lex.bin", shared=True)


def test_a_shortlist_with_descending_offsets_is_refused() -> None:
    data = bytearray(write_shortlist([[1, 2]] * 10))
    struct.pack_into("<Q", data, 48 + 8 * 3, 1 << 50)
    with pytest.raises(ModelFileError, match="do not ascend"):
        Shortlist(bytes(data), 10, 10, "lex.bin", shared=True)
