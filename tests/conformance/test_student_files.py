"""Tests of inconsistent files of a student: each is refused by its name and by the problem."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from latimer_server.backends.marian.architecture import read_architecture
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.onnx_engine import OnnxEngine
from latimer_server.backends.marian.student import load_student
from latimer_server.backends.marian.weights import QuantizationLevels
from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import ModelFileError
from tests.conformance.conftest import locate
from tests.marian_files import CONFIG, FLOAT32, floats, matrix, model_items, write_model


def network(config: dict[str, object] | None = None, **items: object) -> OnnxEngine:
    made = model_items(config)
    made.update(items)  # type: ignore[arg-type]
    return OnnxEngine(MarianFile(write_model(made), "model.bin"), "model.bin", QuantizationLevels())


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"enc-depth": 3, "dec-depth": 4},
        {"dim-emb": 12, "transformer-heads": 3},
        {"transformer-dim-ffn": 40},
        {"dim-vocabs": [33, 33]},
        {"dim-vocabs": [21, 34], "tied-embeddings-all": False, "tied-embeddings": True},
    ],
)
def test_sizes_and_depths_are_read_from_the_file(config: dict[str, object]) -> None:
    shape = network(config).shape
    for key, value in ({**CONFIG, **config}).items():
        fields = {
            "enc-depth": shape.encoder_depth,
            "dec-depth": shape.decoder_depth,
            "dim-emb": shape.dimension,
            "transformer-heads": shape.heads,
            "transformer-dim-ffn": shape.ffn_dimension,
            "dim-vocabs": [shape.source_vocabulary, shape.target_vocabulary],
        }
        assert fields.get(key, value) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dec-cell", "gru"),
        ("type", "s2s"),
        ("transformer-ffn-activation", "swish"),
        ("transformer-preprocess", "n"),
        ("transformer-preprocess", None),
        ("transformer-postprocess", "da"),
        ("transformer-postprocess-emb", "dn"),
        ("transformer-rnn-projection", True),
        ("transformer-decoder-dim-ffn", 8),
        ("output-omit-bias", True),
        ("transformer-decoder-autoreg", "self-attention"),
        ("tied-embeddings-all", False),
        ("tied-embeddings-all", "yes"),
        ("transformer-tied-layers", [1, 1]),
        ("dim-vocabs", [20, 30]),
        ("dim-vocabs", 20),
        ("dim-emb", 10_000_000),
        ("dim-emb", "many"),
        ("enc-depth", 0),
        ("enc-depth", 10_000),
        ("transformer-heads", 0),
        ("transformer-dim-ffn", None),
    ],
)
def test_unsupported_configurations_are_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ModelFileError, match=key):
        read_architecture({**CONFIG, key: value}, "model.bin")


@pytest.mark.parametrize("others", [{}, {"tied-embeddings": True, "tied-embeddings-src": True}])
def test_embeddings_that_are_tied_in_another_way_are_refused(others: dict[str, object]) -> None:
    with pytest.raises(ModelFileError, match="tied-embeddings-src"):
        read_architecture({**CONFIG, "tied-embeddings-all": False, **others}, "model.bin")


def test_a_dimension_that_is_no_multiple_of_the_heads_is_refused() -> None:
    with pytest.raises(ModelFileError, match="dim-emb 8 does not divide into 3 heads"):
        read_architecture({**CONFIG, "transformer-heads": 3}, "model.bin")


def test_a_missing_weight_or_one_of_another_size_is_named() -> None:
    items = model_items()
    del items["decoder_l1_rnn_Wf"]
    with pytest.raises(ModelFileError, match="decoder_l1_rnn_Wf"):
        OnnxEngine(MarianFile(write_model(items), "model.bin"), "model.bin", QuantizationLevels())
    with pytest.raises(ModelFileError, match="encoder_l1_self_Wq"):
        network(encoder_l1_self_Wq=matrix(8, 9))
    with pytest.raises(ModelFileError, match="decoder_ff_logit_out_b"):
        network(decoder_ff_logit_out_b=floats(0.0))


def test_a_configuration_with_larger_sizes_than_the_file_allocates_nothing() -> None:
    items = model_items()
    promised = model_items({"dim-vocabs": [1_000_000, 1_000_000], "dim-emb": 8})["special:model.yml"]
    items["special:model.yml"] = promised
    with pytest.raises(ModelFileError, match="Wemb"):
        OnnxEngine(MarianFile(write_model(items), "model.bin"), "model.bin", QuantizationLevels())


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Copies the files of a real model, which a test may damage."""
    copies = {}
    for key, path in locate("firefox-en-pt").items():
        copies[key] = tmp_path / path.name
        copies[key].write_bytes(path.read_bytes())
    return copies


@pytest.mark.parametrize("key", ["model", "shortlist", "vocabulary"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name(files: dict[str, Path], key: str, share: float) -> None:
    data = files[key].read_bytes()
    files[key].write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelFileError, match=files[key].name.replace(".", r"\.")):
        load_student(files, 1)


def test_a_vocabulary_with_a_piece_that_is_not_utf8_is_refused_by_name(files: dict[str, Path]) -> None:
    data = files["vocabulary"].read_bytes()
    assert "ação".encode() in data
    files["vocabulary"].write_bytes(data.replace("ação".encode(), b"a\xff\xa7\xc3\xa3o", 1))
    with pytest.raises(ModelFileError, match=r"vocab\.enpt\.spm: has a piece that is not UTF-8"):
        load_student(files, 1)


def test_a_missing_file_is_refused_by_name(files: dict[str, Path]) -> None:
    files["vocabulary"].unlink()
    with pytest.raises(ModelFileError, match=r"vocab\.enpt\.spm: cannot be read"):
        load_student(files, 1)


def test_a_vocabulary_of_another_model_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    small = tmp_path / "small.bin"
    small.write_bytes(write_model(model_items()))
    with pytest.raises(ModelFileError, match="do not belong together"):
        load_student({"model": small, "vocabulary": files["vocabulary"]}, 1)


def test_a_model_with_two_vocabularies_names_the_missing_files(files: dict[str, Path], tmp_path: Path) -> None:
    small = tmp_path / "small.bin"
    small.write_bytes(write_model(model_items({"tied-embeddings-all": False, "tied-embeddings": True})))
    with pytest.raises(ModelFileError, match=r"small\.bin: .*`source_vocabulary` and `target_vocabulary`"):
        load_student({"model": small, "vocabulary": files["vocabulary"]}, 1)
    with pytest.raises(ModelFileError, match=r"enpt.*must name `vocabulary`"):
        load_student({"model": files["model"], "source_vocabulary": files["vocabulary"]}, 1)


def test_embeddings_in_float32_are_supported() -> None:
    items = model_items({"dim-vocabs": [6, 6], "dim-emb": 4})
    items["Wemb"] = FLOAT32, (6, 4), np.arange(24, dtype="<f4").tobytes()
    loaded = OnnxEngine(MarianFile(write_model(items), "model.bin"), "model.bin", QuantizationLevels())
    # The last row is the embedding of the empty start token.
    assert loaded.target.tolist() == [*np.arange(24).reshape(6, 4).tolist(), [0] * 4]
    assert loaded._source is loaded.target


def test_a_model_without_a_shortlist_uses_its_whole_vocabulary(files: dict[str, Path]) -> None:
    student = load_student({key: path for key, path in files.items() if key != "shortlist"}, 2)
    (row,) = student.encode(["The old red house near the river was sold yesterday."])
    (hypothesis,) = student.run([row.ids], DecodingOptions(), lambda: False)
    assert student.decode([hypothesis.ids]) == ["A antiga casa vermelha perto do rio foi vendida ontem."]


def test_a_hostile_count_in_a_real_file_is_refused(files: dict[str, Path]) -> None:
    data = bytearray(files["model"].read_bytes())
    struct.pack_into("<Q", data, 8, 60_000)
    files["model"].write_bytes(data)
    with pytest.raises(ModelFileError, match="model"):
        load_student(files, 1)
