"""Tests of a student's alignment: against readers, in any batch, in any search, and against an independent network."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.backends.marian.beam import BeamSearch
from latimer_server.backends.marian.engine import END, UNKNOWN
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from tests.conformance.conftest import get_engine_searcher, never, read_sentences
from tests.marian_students import StudentShape, make_student

Matrix = npt.NDArray[np.float64]

ALIGNED = DecodingOptions(alignment=True)
# Two decoder layers with eight heads each, of which only one head is the alignment.
SMALL = StudentShape(64, 2, 96, encoder_depth=2)
# Words of the translation and the source words that they translate, by a reader of both languages.
BY_HAND = {
    "en": {
        "The old red house near the river was sold yesterday.": "antiga=old casa=house vermelha=red perto=near "
        "rio=river foi=was vendida=sold ontem=yesterday",
        "On 14 March 2026 the committee approved 3,250 new licences.": "14=14 março=March 2026=2026 comitê=committee "
        "aprovou=approved 3.250=3,250 novas=new licenças=licences",
        "Is the blue bicycle cheaper than the green car?": "bicicleta=bicycle azul=blue é=Is barata=cheaper "
        "carro=car verde=green",
        "Dr. Martha Oliveira visited the hospital in Lisbon before lunch.": "Dra=Dr Martha=Martha Oliveira=Oliveira "
        "visitou=visited hospital=hospital Lisboa=Lisbon antes=before almoço=lunch",
        "Click the red button to download the annual report.": "Clique=Click botão=button vermelho=red "
        "baixar=download relatório=report anual=annual",
        "Although it rained heavily, the children played football in the garden.": "Embora=Although choveu=rained "
        "fortemente=heavily crianças=children jogaram=played futebol=football jardim=garden",
        "My brother never drinks coffee without sugar.": "Meu=My irmão=brother nunca=never bebe=drinks café=coffee "
        "sem=without açúcar=sugar",
    },
    "pt": {
        "A velha casa vermelha perto do rio foi vendida ontem.": "old=velha red=vermelha house=casa near=perto "
        "river=rio was=foi sold=vendida yesterday=ontem",
        "O gato preto dorme na cadeira ao lado da janela.": "black=preto cat=gato sleeps=dorme chair=cadeira "
        "window=janela",
        "Ela comprou doze ovos frescos no mercado antigo.": "She=Ela bought=comprou twelve=doze fresh=frescos "
        "eggs=ovos old=antigo market=mercado",
        "Quantos estudantes estrangeiros moram nesta cidade?": "many=Quantos foreign=estrangeiros "
        "students=estudantes live=moram city=cidade",
        "O professor Carlos explicou a lição difícil em 25 minutos.": "Professor=professor Carlos=Carlos "
        "explained=explicou difficult=difícil lesson=lição 25=25 minutes=minutos",
        "Embora chova muito, as crianças brincam no jardim.": "Although=Embora lot=muito "
        "children=crianças play=brincam garden=jardim",
        "O relatório anual mostra que os preços subiram 3,5% em maio.": "annual=anual report=relatório "
        "shows=mostra prices=preços rose=subiram 3.5%=3,5% May=maio",
    },
}


def list_links(student: MarianStudent, source: str) -> list[tuple[str, str]]:
    """Returns for each output token its word and the linked word of the source."""
    (encoding,) = student.encode([source])
    (hypothesis,) = student.run([encoding.ids], ALIGNED, never)
    text, spans = student.decode_spans(hypothesis.ids)
    answered = [*student.token_spans(source), (len(source), len(source))]
    return [
        (find_word(text, start), find_word(source, answered[index][0]))
        for (start, end), (index, _) in zip(spans, hypothesis.alignment, strict=True)
        if start < end
    ]


def find_word(text: str, at: int) -> str:
    """Returns the word at a character; a number with its signs is one word. "" for any other character."""
    words = re.finditer(r"\d[\d.,]*%?(?<![.,])|\w+", text)
    return next((word.group() for word in words if word.start() <= at < word.end()), "")


def assert_same(one: Hypothesis, other: Hypothesis) -> None:
    """Asserts equal ids and links, except for links with two nearly equal weights."""
    assert len(one.alignment) == len(one.ids) == len(other.alignment)
    for (index, weight), (again, weight_again) in zip(one.alignment, other.alignment, strict=True):
        assert weight == pytest.approx(weight_again, abs=1e-3)
        assert index == again or weight < 0.5


@pytest.mark.parametrize("language", ["en", "pt"])
def test_content_words_are_linked_as_by_a_reader(students: Mapping[str, MarianStudent], language: str) -> None:
    checked = 0
    for source, pairs in BY_HAND[language].items():
        links = list_links(students[language], source)
        for target, expected in (pair.split("=") for pair in pairs.split()):
            found = {answered for word, answered in links if word == target}
            assert found == {expected}, f"{source}: {target}"
            checked += 1
    assert checked >= 40


@pytest.mark.parametrize("language", ["en", "pt"])
def test_the_weights_of_content_words_are_high(students: Mapping[str, MarianStudent], language: str) -> None:
    student = students[language]
    rows = [encoding.ids for encoding in student.encode(list(BY_HAND[language]))]
    weights = [weight for h in student.run(rows, ALIGNED, never) for _, weight in h.alignment]
    assert sum(weights) / len(weights) > 0.85
    assert all(0 < weight <= 1 for weight in weights)


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("beam", [1, 4])
def test_an_alignment_does_not_depend_on_its_batch(
    students: Mapping[str, MarianStudent], language: str, beam: int
) -> None:
    student, draw = students[language], random.Random(7)
    options = replace(ALIGNED, beam_size=beam, hypothesis_count=1 + beam // 2)
    rows = [encoding.ids for encoding in student.encode([*BY_HAND[language], *read_sentences(language)[::12]])]
    alone = [student.run([row], options, never)[0] for row in rows]
    order = list(range(len(rows)))
    for size in (5, 32):
        draw.shuffle(order)
        for start in range(0, len(rows), size):
            chosen = order[start : start + size]
            for index, together in zip(chosen, student.run([rows[i] for i in chosen], options, never), strict=True):
                mine = alone[index]
                assert len(together.alternatives) == beam // 2
                for one, other in zip((mine, *mine.alternatives), (together, *together.alternatives), strict=True):
                    assert one.ids == other.ids
                    assert_same(one, other)


@pytest.mark.parametrize("language", ["en", "pt"])
def test_beam_search_links_as_greedy_search_if_the_output_is_the_same(
    exact_students: Mapping[str, MarianStudent], language: str
) -> None:
    student = exact_students[language]
    searcher = get_engine_searcher(student)
    rows = [encoding.ids for encoding in student.encode([*BY_HAND[language], *read_sentences(language)[::20]])]
    plain = student.run(rows, ALIGNED, never)
    for beam in (1, 2, 3, 4):
        options = replace(ALIGNED, beam_size=beam)
        found = BeamSearch(searcher.engine, searcher.shortlist, rows, options).run(never)
        same = [(mine, greedy) for mine, greedy in zip(found, plain, strict=True) if mine.ids == greedy.ids]
        assert len(same) >= len(rows) / 2
        for mine, greedy in same:
            assert_same(mine, greedy)


@pytest.mark.parametrize("beam", [1, 3])
def test_the_output_is_the_same_without_alignment(students: Mapping[str, MarianStudent], beam: int) -> None:
    student, options = students["en"], DecodingOptions(beam_size=beam, hypothesis_count=beam)
    rows = [encoding.ids for encoding in student.encode(read_sentences("en")[:24])]
    plain, aligned = student.run(rows, options, never), student.run(rows, replace(options, alignment=True), never)
    for one, other in zip(plain, aligned, strict=True):
        for without, linked in zip((one, *one.alternatives), (other, *other.alternatives), strict=True):
            assert without.alignment == ()
            assert len(linked.alignment) == len(linked.ids)
            assert replace(linked, alignment=(), alternatives=()) == replace(without, alternatives=())


@pytest.mark.parametrize("beam", [1, 4])
def test_there_is_one_link_for_each_id_wherever_an_output_ends(
    students: Mapping[str, MarianStudent], beam: int
) -> None:
    student = students["pt"]
    rows = [encoding.ids for encoding in student.encode(["", "Sim.", *read_sentences("pt")[:24]])]
    whole = replace(ALIGNED, beam_size=beam, hypothesis_count=beam)
    stops = iter([False] * 5 + [True] * 50)
    outcomes = [
        *student.run(rows, whole, never),
        *student.run(rows, replace(whole, max_output_tokens=4), never),
        *student.run(rows, replace(whole, max_length_ratio=0.7), never),
        *student.run(rows, whole, lambda: next(stops)),
    ]
    for place, outcome in enumerate(outcomes):
        for hypothesis in (outcome, *outcome.alternatives):
            assert len(hypothesis.alignment) == len(hypothesis.ids)
            assert all(0 <= index < len(rows[place % len(rows)]) for index, _ in hypothesis.alignment)
    assert any(hypothesis.truncated for hypothesis in outcomes)


@pytest.fixture(scope="module", params=["shared", "split"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[MarianStudent, MarianFile]:
    """A small student with random weights in float32, and its file for the independent network."""
    files = make_student(SMALL, split=request.param == "split", shortlist=True)
    paths = files.write(tmp_path_factory.mktemp(f"aligned-{request.param}"))
    return load_student(paths, 1, compute_type="float32"), MarianFile(files.model, "model.bin")


@pytest.mark.parametrize("beam", [1, 4])
def test_the_weights_are_those_of_the_last_layers_first_head(made: tuple[MarianStudent, MarianFile], beam: int) -> None:
    student, recomputed = made[0], Recomputed(made[1], SMALL)
    options = replace(ALIGNED, beam_size=beam, hypothesis_count=beam)
    rows = [encoding.ids for encoding in student.encode(["the", *read_sentences("en")[:9]])]
    seen: set[int] = set()
    for row, outcome in zip(rows, student.run(rows, options, never), strict=True):
        for hypothesis in (outcome, *outcome.alternatives):
            expected = recomputed.attend(row, hypothesis.ids)
            assert len(expected) == len(hypothesis.alignment)
            for (index, weight), own in zip(hypothesis.alignment, expected, strict=True):
                assert weight == pytest.approx(own.max(), abs=1e-3)
                assert own[index] == pytest.approx(own.max(), abs=1e-3)
                seen.add(len(row) - 1 - index)
    # Some tokens are linked to the end token of the source, which is the last.
    assert 0 in seen
    assert len(seen) > 5


class Recomputed:
    """An independent implementation of the network in numpy, for one source and one output, step by step. It shares
    only the file reader with the server."""

    def __init__(self, file: MarianFile, shape: StudentShape) -> None:
        self._file, self._shape, self._d = file, shape, shape.dimension
        shared = bool(file.config["tied-embeddings-all"])
        sizes = np.array(file.config["dim-vocabs"]).tolist()
        names = ("Wemb", "Wemb") if shared else ("encoder_Wemb", "decoder_Wemb")
        self._inputs, self._outputs = (
            file.embeddings(name, size, self._d).astype(float) for name, size in zip(names, sizes, strict=True)
        )

    def attend(self, source: TokenIds, output: TokenIds) -> list[Matrix]:
        """Returns for each output token the weights [source] of the first head of the last layer."""
        read = np.stack([self._embed(self._inputs[token], at) for at, token in enumerate(source)])
        for layer in range(1, self._shape.encoder_depth + 1):
            read, _ = self._look(read, read, f"encoder_l{layer}_self")
            read = self._feed(read, f"encoder_l{layer}_ffn")
        cells = [np.zeros(self._d) for _ in range(self._shape.decoder_depth)]
        found = []
        for at in range(len(output)):
            x = self._embed(self._outputs[output[at - 1]] if at else np.zeros(self._d), at)[None]
            for layer in range(1, self._shape.decoder_depth + 1):
                name = f"decoder_l{layer}_rnn"
                forget = 1 / (1 + np.exp(-(x[0] @ self._weights(f"{name}_Wf").T + self._vector(f"{name}_bf"))))
                cells[layer - 1] = forget * cells[layer - 1] + (1 - forget) * (x[0] @ self._weights(f"{name}_W").T)
                x = self._normalize(x + np.maximum(cells[layer - 1], 0), f"{name}_ffn_ln")
                x, weights = self._look(x, read, f"decoder_l{layer}_context")
                x = self._feed(x, f"decoder_l{layer}_ffn")
            found.append(weights[0, 0])
        return found

    def _embed(self, x: Matrix, position: int) -> Matrix:
        angles = position * np.exp(np.arange(self._d // 2) * -np.log(10_000) / (self._d // 2 - 1))
        return np.asarray(x * np.sqrt(self._d) + np.concatenate([np.sin(angles), np.cos(angles)]))

    def _look(self, x: Matrix, read: Matrix, name: str) -> tuple[Matrix, Matrix]:
        heads = self._shape.heads

        def project(values: Matrix, which: str) -> Matrix:
            projected = values @ self._weights(f"{name}_W{which}").T + self._vector(f"{name}_b{which}")
            return np.asarray(projected.reshape(len(values), heads, -1))

        scores = np.einsum("qhd,khd->hqk", project(x, "q"), project(read, "k")) / np.sqrt(self._d // heads)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        seen = np.einsum("hqk,khd->qhd", weights, project(read, "v")).reshape(len(x), self._d)
        output = seen @ self._weights(f"{name}_Wo").T + self._vector(f"{name}_bo")
        return self._normalize(x + output, f"{name}_Wo_ln"), weights

    def _feed(self, x: Matrix, name: str) -> Matrix:
        wide = self._shape.ffn_dimension
        inner = np.maximum(x @ self._weights(f"{name}_W1", self._d, wide).T + self._vector(f"{name}_b1", wide), 0)
        outer = inner @ self._weights(f"{name}_W2", wide, self._d).T + self._vector(f"{name}_b2")
        return self._normalize(x + outer, f"{name}_ffn_ln")

    def _normalize(self, x: Matrix, name: str) -> Matrix:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        return np.asarray(x * self._vector(f"{name}_scale") + self._vector(f"{name}_bias"))

    def _weights(self, name: str, rows: int = 0, columns: int = 0) -> Matrix:
        """Returns a matrix [out, in] of an item whose header has the shape [in, out]."""
        matrix = self._file.matrix(name, rows or self._d, columns or self._d, transposed=True)
        return matrix.dequantize().astype(float)

    def _vector(self, name: str, size: int = 0) -> Matrix:
        return self._file.float_vector(name, size or self._d).astype(float)


def list_unknown_spans(student: MarianStudent, text: str) -> list[tuple[int, int]]:
    """The span of each unknown token of the text; one of several that write the same character."""
    ids = student.encode([text])[0].ids[:-1]
    pairs = zip(ids, student.token_spans(text), strict=True)
    return sorted({span for index, span in pairs if index == UNKNOWN})


@pytest.mark.parametrize("missing", ["世界", "😀", "→", "{", "}", "<", "~", "@", "#", "^"])
def test_characters_outside_the_vocabulary_are_found(students: Mapping[str, MarianStudent], missing: str) -> None:
    student = students["en"]
    for text in (missing, f"A {missing} house", f"house{missing}.", f"\u200b{missing}\u200d{missing}\x01"):
        found = list_unknown_spans(student, text)
        assert [text[start:end] for start, end in found] == [missing] * text.count(missing)
        assert student.encode([text])[0].unknown_tokens == len(found)


def test_partly_known_characters_are_found_as_a_whole(students: Mapping[str, MarianStudent]) -> None:
    text = "½ of ㈱ or ŉ"
    assert [text[slice(*span)] for span in list_unknown_spans(students["en"], text)] == ["½", "㈱", "ŉ"]


@given(text=st.text())
def test_token_spans_are_exact_for_any_text(students: Mapping[str, MarianStudent], text: str) -> None:
    student = students["en"]
    spans, ids = student.token_spans(text), student.encode([text])[0].ids
    assert len(spans) == len(ids) - 1 == len(student.token_starts(text))
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(spans))
    inside = {at for span in spans for at in range(*span)}
    kept = {at for at, character in enumerate(text) if student._source.Normalize(character)}
    assert kept <= inside <= set(range(len(text)))
    unknown = list_unknown_spans(student, text)
    assert bool(unknown) == (UNKNOWN in ids)
    assert {at for span in unknown for at in (span[0], span[1] - 1)} <= kept


@given(ids=st.lists(st.integers(0, 31_999), max_size=20))
def test_decode_spans_returns_the_text_of_decode_for_any_ids(
    students: Mapping[str, MarianStudent], ids: Sequence[int]
) -> None:
    text, spans = students["pt"].decode_spans((*ids, END))
    assert text == students["pt"].decode([(*ids, END)])[0]
    assert len(spans) == len(ids) + 1
    inside = [at for span in spans for at in range(*span)]
    assert inside == sorted(set(inside))
    assert {at for at, character in enumerate(text) if not character.isspace()} <= set(inside)
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
