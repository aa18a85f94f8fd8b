"""Tests of the scorer of n-grams: in C++ and in numpy, with words of any script, and against n-grams added by hand."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latimer_server.text.ngrams.scorer import NativeScorer, NumpyScorer, Scorer, load_scorer, open_library
from latimer_server.text.ngrams.table import BUCKETS, WEIGHT_UNIT, NgramTable, read_table

ALL = (1 << 60) - 1
LANGUAGES = ("aa", "bb", "cc")
UNICODE = st.text(st.characters(codec=None), max_size=300)  # includes lone surrogates
NUMPY = NumpyScorer(read_table())

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("latimer_server.text.ngrams.native._ngrams") is None, reason="the C++ was not built"
)


def make_key(ngram: bytes) -> int:
    """Returns the key of an n-gram as eldc computes it: the upper half of two steps of SplitMix64."""
    number = int.from_bytes(ngram.ljust(8, b"\0"), "little")
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    return (number ^ number >> 27) >> 32


def make_table(ngrams: dict[bytes, dict[str, int]]) -> NgramTable:
    """Returns a table of n-grams with their weights by language."""
    rows = sorted(
        (make_key(ngram), LANGUAGES.index(language), weight)
        for ngram, weights in ngrams.items()
        for language, weight in weights.items()
    )
    keys, labels, weights = (np.array(column) for column in zip(*rows, strict=True))
    counts = np.bincount(keys >> 16, minlength=BUCKETS)
    return NgramTable(
        LANGUAGES,
        np.concatenate(([0], np.cumsum(counts))).astype(np.uint32),
        (keys & 0xFFFF).astype(np.uint16),
        labels.astype(np.uint8),
        weights.astype(np.uint8),
    )


def make_scorers(table: NgramTable) -> list[Scorer]:
    """Returns the scorer in numpy, and the one in C++ if it was built."""
    library = open_library()
    return [NumpyScorer(table), *([NativeScorer(table, library)] if library else [])]


@pytest.mark.parametrize(
    ("text", "ngrams"),
    [
        ("house", [b" house "]),
        ("HOUSE House house", [b" house "]),
        ("houses", [b" houses "]),
        ("houseboat", [b" houseb", b"seboat "]),
        ("houseboating", [b" houseb", b"oating "]),
        ("housekeepings", [b" housek", b"eeping", b"epings "]),
        ("l'eau l’eau", [b" l'eau ", " l’eau".encode()[:7], "l’eau ".encode()[-7:]]),
        ("'tis dogs' a''b", [b" tis ", b" dogs ", b" a ", b" b "]),
        ("a1b_c-d", [b" a ", b" b ", b" c ", b" d "]),
        ("é", " é ".encode().split(b"\n")),
        ("委员", [" 委 ".encode(), " 员 ".encode()]),
        ("𠀀a", [" 𠀀 ".encode(), b" a "]),
        ("कि", [" क ".encode()]),
        ("𐐷", []),
        ("12 +", []),
    ],
)
def test_a_text_is_divided_into_pieces_of_words(text: str, ngrams: list[bytes]) -> None:
    for scorer in make_scorers(make_table({ngram: {"bb": 10} for ngram in [*ngrams, b" unseen "]})):
        found = scorer.measure(text, 0b111, 3)
        # Each n-gram of the text counts once, and the table has all of them.
        assert found == ({"bb": 10.0 * WEIGHT_UNIT} if ngrams else {})


def test_evidence_is_the_mean_weight_of_all_ngrams() -> None:
    table = make_table({b" red ": {"aa": 40, "bb": 80}, b" old ": {"aa": 60}})
    for scorer in make_scorers(table):
        assert scorer.measure("the old red house", 0b111, 3) == {"aa": 25.0 * WEIGHT_UNIT, "bb": 20.0 * WEIGHT_UNIT}
        assert list(scorer.measure("the old red house", 0b111, 3)) == ["aa", "bb"]
        assert scorer.measure("the old red house", 0b110, 3) == {"bb": 20.0 * WEIGHT_UNIT}
        assert scorer.measure("the old red house", 0b111, 1) == {"aa": 25.0 * WEIGHT_UNIT}
        assert scorer.measure("the house", 0b111, 3) == {}


@needs_library
@given(UNICODE | st.text("abe'’` éß委กह1\x00", max_size=200), st.integers(0, ALL), st.integers(1, 60))
@settings(max_examples=500, deadline=None)
def test_the_scorers_agree_on_any_text(text: str, among: int, most: int) -> None:
    assert load_scorer().measure(text, among, most) == NUMPY.measure(text, among, most)


@needs_library
@pytest.mark.parametrize(
    "piece", ["-", "'", "a'", "1", "[", "`", "\u202e", "é", "委", "a ", "\x00", "İ", "𐐷", "abcdefg"]
)
def test_the_scorers_agree_on_long_hostile_text(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert load_scorer().measure(text, ALL, 60) == NUMPY.measure(text, ALL, 60)


@needs_library
def test_the_cpp_is_used_where_it_was_built() -> None:
    assert isinstance(load_scorer(), NativeScorer)


@pytest.mark.parametrize(
    ("text", "language", "evidence"),
    [
        ("The committee will meet again on Tuesday.", "en", 20_547),
        ("A comissão voltará a reunir-se na terça-feira.", "pt", 27_875),
        ("Комиссия соберётся во вторник.", "ru", 21_656),
        ("समिति मंगलवार को फिर मिलेगी", "hi", 37_239),
        ("위원회는 화요일에 다시 열린다", "ko", 37_174),
        ("Die Straße heißt Übergang", "de", 26_188),
    ],
)
def test_evidence_is_that_of_eldc(text: str, language: str, evidence: float) -> None:
    """The expected values are those of eldc 0.4.0: -10,000 log(1 - score). A weight is rounded to a multiple of 256."""
    found = NUMPY.measure(text, ALL, 60)
    assert max(found, key=found.__getitem__) == language
    assert found[language] == pytest.approx(evidence, abs=WEIGHT_UNIT / 2)


def test_the_table_is_whole() -> None:
    table = read_table()
    assert len(table.languages) == len(set(table.languages)) == 60
    assert len(table.remainders) == 1_607_839
    assert np.array_equal(np.unique(table.labels), np.arange(60))
    assert (np.diff(table.starts.astype(np.int64)) >= 0).all()
    assert table.weights.min() > 0
