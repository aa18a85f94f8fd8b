"""Tests of generated students of every published shape against an independent engine that reads the same files.

No two engines round alike. So only stable inputs count: their translation stays the same if all weights change a
little, if activations are rounded half as finely, and if they are not rounded at all. A defect in either engine changes
these translations too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import fxtranslate
import numpy as np
import numpy.typing as npt
import pytest
from torch import Tensor

from benchmarks.students import run_in_batches
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.backends.marian.torch_engine import MarianNetwork, TorchEngine
from latimer_server.backends.marian.weights import QuantizationLevels
from latimer_server.core.decoding import DecodingOptions, TokenIds
from latimer_server.core.errors import ModelFileError
from tests.conformance.conftest import get_engine_searcher, on_graphs, read_sentences, with_engine
from tests.marian_students import BASE, BASE_MEMORY, TINY, StudentFiles, StudentShape, make_student

# Longer outputs add little, and the independent engine has its own cap.
OPTIONS = DecodingOptions(max_length_ratio=10, max_output_tokens=24)
INPUTS, TWINS = 1_000, 3
Defect = Callable[[MarianStudent, pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Case:
    """A student in int8, the same in float32 by the torch engine and in int8 by ONNX Runtime, the stable inputs, and
    their translations by the independent engine."""

    student: MarianStudent
    exact: MarianStudent
    graphs: MarianStudent
    rows: tuple[TokenIds, ...]
    expected: tuple[str, ...]

    def agreement(self, student: MarianStudent) -> float:
        """Returns the share of inputs whose translation equals that of the independent engine."""
        outputs = student.decode([hypothesis.ids for hypothesis in run_in_batches(student, self.rows, 32, OPTIONS)])
        return sum(a == b for a, b in zip(outputs, self.expected, strict=True)) / len(outputs)


def load(files: StudentFiles, folder: Path) -> MarianStudent:
    folder.mkdir()
    student = load_student(files.write(folder), 1)
    assert student.compute_type.partition("/")[0] == "int8"
    return student


def make_case(shape: StudentShape, folder: Path, *, split: bool, shortlist: bool) -> Case:
    files = make_student(shape, split=split, shortlist=shortlist)
    student = load(files, folder / "student")
    draw = random.Random(1)
    words = sorted({word for sentence in read_sentences("en") for word in sentence.split()})
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 4))) for _ in range(INPUTS)]
    rows = [encoding.ids for encoding in student.encode(texts)]
    outputs = {
        text: (row, hypothesis.ids)
        for text, row, hypothesis in zip(texts, rows, run_in_batches(student, rows, 32, OPTIONS), strict=True)
        if not hypothesis.truncated and len(hypothesis.ids) <= 2 * len(row)
    }

    def keep_stable_inputs(other: MarianStudent) -> None:
        again = run_in_batches(other, [row for row, _ in outputs.values()], 32, OPTIONS)
        for (text, (_, ids)), hypothesis in zip(list(outputs.items()), again, strict=True):
            if hypothesis.ids != ids:
                del outputs[text]

    for number in range(1, TWINS + 1):
        twin = make_student(shape, split=split, shortlist=shortlist, shaken=number)
        keep_stable_inputs(load(twin, folder / f"twin{number}"))
    file = MarianFile(files.model, "model.bin")
    exact = with_engine(student, TorchEngine(file, "model.bin", "cpu"))
    keep_stable_inputs(exact)
    keep_stable_inputs(on_graphs(student, files.model, QuantizationLevels(63)))
    oracle = fxtranslate.Translator(files.model, files.source_vocabulary, files.target_vocabulary, files.shortlist)
    expected = tuple(oracle.translate(text) for text in outputs)
    return Case(student, exact, on_graphs(student, files.model), tuple(row for row, _ in outputs.values()), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "split", "shortlist"),
    [
        pytest.param(TINY, False, True, id="tiny-shared-shortlist"),
        pytest.param(TINY, True, False, id="tiny-split"),
        pytest.param(BASE_MEMORY, False, False, id="base-memory-shared"),
        pytest.param(BASE_MEMORY, True, True, id="base-memory-split-shortlist"),
        pytest.param(BASE, False, True, id="base-shared-shortlist"),
        pytest.param(BASE, True, False, id="base-split"),
    ],
)
def test_every_published_shape_agrees_with_an_independent_engine(
    tmp_path: Path, shape: StudentShape, *, split: bool, shortlist: bool
) -> None:
    case = make_case(shape, tmp_path, split=split, shortlist=shortlist)
    agreement, without = case.agreement(case.student), case.agreement(case.graphs)
    lengths = [len(hypothesis.ids) for hypothesis in run_in_batches(case.student, case.rows, 32, OPTIONS)]
    shares = f"{agreement:.3f} and {without:.3f}"
    print(f"{shares} of {len(case.rows)}, {np.mean(lengths):.1f} tokens, {len(set(case.expected))} texts")
    assert agreement >= 0.95
    assert without >= 0.95
    assert len(case.rows) >= 50
    assert len(set(case.expected)) >= 0.85 * len(case.rows)
    assert np.mean(lengths) >= 2


@pytest.fixture(scope="module")
def split_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(BASE_MEMORY, tmp_path_factory.mktemp("case"), split=True, shortlist=True)


def network_of(student: MarianStudent) -> MarianNetwork:
    engine = get_engine_searcher(student).engine
    assert isinstance(engine, TorchEngine)
    return engine.network


def four_heads(student: MarianStudent, patch: pytest.MonkeyPatch) -> None:
    network = network_of(student)
    patch.setattr(network, "shape", replace(network.shape, heads=4))


def shifted_positions(student: MarianStudent, patch: pytest.MonkeyPatch) -> None:
    network = network_of(student)
    positions = network._positions

    def shifted(start: int, count: int) -> Tensor:
        return positions(start + (count > 1), count)

    patch.setattr(network, "_positions", shifted)


def decoder_layers_in_another_order(student: MarianStudent, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(network_of(student), "_decoder", network_of(student)._decoder[::-1])


def an_encoder_layer_less(student: MarianStudent, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(network_of(student), "_encoder", network_of(student)._encoder[:-1])


def embeddings_of_the_other_language(student: MarianStudent, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(network_of(student), "source_embeddings", network_of(student).embeddings)


def candidates_of_the_next_id(student: MarianStudent, patch: pytest.MonkeyPatch) -> None:
    searcher = get_engine_searcher(student)
    assert searcher.shortlist
    of_all, size = searcher.shortlist.list_candidates, searcher.engine.shape.source_vocabulary

    def of_the_next(batch: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return of_all([[(i + 1) % size for i in ids] for ids in batch])

    patch.setattr(searcher.shortlist, "list_candidates", of_the_next)


@pytest.mark.parametrize(
    "defect",
    [
        four_heads,
        shifted_positions,
        decoder_layers_in_another_order,
        an_encoder_layer_less,
        embeddings_of_the_other_language,
        candidates_of_the_next_id,
    ],
)
def test_a_defect_lowers_the_agreement(split_case: Case, monkeypatch: pytest.MonkeyPatch, defect: Defect) -> None:
    student = split_case.exact
    sound = split_case.agreement(student)
    defect(student, monkeypatch)
    spoilt = split_case.agreement(student)
    print(f"{sound:.3f} becomes {spoilt:.3f}")
    assert sound >= 0.95
    assert spoilt <= 0.75


def test_vocabularies_that_are_swapped_are_refused(tmp_path: Path) -> None:
    files = make_student(TINY, split=True, shortlist=True).write(tmp_path)
    files["source_vocabulary"], files["target_vocabulary"] = files["target_vocabulary"], files["source_vocabulary"]
    with pytest.raises(ModelFileError, match="do not belong together"):
        load_student(files, 1)


def test_source_and_target_may_have_separate_vocabularies(tmp_path: Path) -> None:
    student = load_student(make_student(TINY, split=True, shortlist=True).write(tmp_path), 1)
    (encoding,) = student.encode(["The house is red."])
    assert max(encoding.ids) < 720
    assert student.decode([(799,)]) != [""]
    assert student.token_starts("The house") == sorted(student.token_starts("The house"))
