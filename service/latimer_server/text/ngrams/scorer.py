"""Scores the n-grams of a text by the C++ of this package, or by numpy if it was not built."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import re
import threading
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latimer_server.text.ngrams.table import (
    APOSTROPHE,
    IDEOGRAPH,
    LETTER,
    MAX_LANGUAGES,
    WEIGHT_UNIT,
    NgramTable,
    classify_characters,
    read_table,
)

_LIBRARY = "latimer_server.text.ngrams.native._ngrams"
_INTERFACE = 1  # the version of the C interface: `LATIMER_INTERFACE` of `native/ngrams.cpp`
# The bytes of an n-gram without the spaces that mark the start and the end of a word.
_NGRAM_BYTES = 6
_KEY_BYTES = 8

_log = logging.getLogger(__name__)


class Scorer(Protocol):
    """Measures the evidence for languages in a text. Thread-safe."""

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages, as ISO 639-1 codes."""
        ...

    def measure(self, text: str, among: int, most: int) -> dict[str, float]:
        """Returns the evidence for each language per different n-gram of `text`, the most evidence first.

        `among`: the languages in question; bit i stands for `languages[i]`. `most`: how many are returned; those
        without any evidence never are. Evidence is about 20,000 for the language of a text, 5,000 to 10,000 for others.
        The time is proportional to the length of the text, but for a sort of its n-grams.
        """
        ...


class NumpyScorer:
    """The scorer in numpy, for packages that were built without a compiler. A sentence takes 60 us."""

    def __init__(self, table: NgramTable) -> None:
        classes = classify_characters()
        letter, ideograph, apostrophe = (_write_class(classes, kind) for kind in (LETTER, IDEOGRAPH, APOSTROPHE))
        self.languages = table.languages
        self._table = table
        self._words = re.compile(f"{ideograph}|{letter}+(?:{apostrophe}{letter}+)*")

    def measure(self, text: str, among: int, most: int) -> dict[str, float]:
        """See `Scorer.measure`."""
        ngrams = {ngram for word in set(self._words.findall(text.lower())) for ngram in _cut(word.encode())}
        if not ngrams:
            return {}
        sums = self._add_weights(_hash(np.frombuffer(b"".join(n.ljust(_KEY_BYTES, b"\0") for n in ngrams), "<u8")))
        found = [(-total, label) for label, total in enumerate(sums) if total and among >> label & 1]
        return {self.languages[label]: -total * WEIGHT_UNIT / len(ngrams) for total, label in sorted(found)[:most]}

    def _add_weights(self, keys: NDArray[np.uint32]) -> list[float]:
        """Returns the sum of the weights of n-grams for each language. `keys` (n): their keys."""
        table = self._table
        buckets = keys >> 16
        first, end = table.starts[buckets].astype(np.intp), table.starts[buckets + 1].astype(np.intp)
        lengths = end - first
        rows = np.arange(lengths.sum()) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        rows = rows[table.remainders[rows] == np.repeat(keys & 0xFFFF, lengths)]
        sums: list[float] = np.bincount(table.labels[rows], table.weights[rows], len(table.languages)).tolist()
        return sums


class NativeScorer:
    """The scorer in C++. A sentence takes 5 us."""

    def __init__(self, table: NgramTable, library: ctypes.PyDLL) -> None:
        self.languages = table.languages
        # The C++ reads these arrays as long as the scorer lives.
        self._arrays = (table.starts, table.remainders, table.labels, table.weights, classify_characters())
        self._table = _Table(*(array.ctypes.data for array in self._arrays), len(self._arrays[-1]))
        self._address = ctypes.addressof(self._table)
        self._results = _Results()
        self._score = library.latimer_score_ngrams

    def measure(self, text: str, among: int, most: int) -> dict[str, float]:
        """See `Scorer.measure`. Raises `MemoryError` if there is too little memory for the n-grams of the text."""
        encoded = text.lower().encode("utf-8", "replace")
        results = self._results
        count = self._score(self._address, encoded, len(encoded), among, most, WEIGHT_UNIT, *results.addresses)
        if count < 0:
            raise MemoryError("too little memory for the n-grams of a text")
        found = zip(results.labels[:count], results.evidence[:count], strict=True)
        return {self.languages[label]: value for label, value in found}


class _Table(ctypes.Structure):
    """The `Table` of `native/ngrams.cpp`."""

    _fields_ = (
        ("starts", ctypes.c_void_p),
        ("remainders", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("classes", ctypes.c_void_p),
        ("class_count", ctypes.c_size_t),
    )


class _Results(threading.local):
    """The arrays of a thread that the C++ writes, kept because it takes longer to make them than to fill them."""

    def __init__(self) -> None:
        self.labels = (ctypes.c_uint8 * MAX_LANGUAGES)()
        self.evidence = (ctypes.c_double * MAX_LANGUAGES)()
        self.addresses = ctypes.addressof(self.labels), ctypes.addressof(self.evidence)


@cache
def load_scorer() -> Scorer:
    """Returns the scorer of the table of this package, in C++ if it was built."""
    library = open_library()
    return NativeScorer(read_table(), library) if library else NumpyScorer(read_table())


@cache
def open_library() -> ctypes.PyDLL | None:
    """Returns the C++ library of this package, or None if it was not built for this version or cannot be opened.

    Its calls keep the interpreter lock: they take microseconds, and getting the lock back can take a millisecond
    (docs/decisions/0008).
    """
    spec = importlib.util.find_spec(_LIBRARY)
    if spec is None or spec.origin is None:
        return None
    try:
        library = ctypes.PyDLL(spec.origin)
        library.latimer_get_ngrams_interface.restype = ctypes.c_int
        version = library.latimer_get_ngrams_interface()
        library.latimer_score_ngrams.restype = ctypes.c_int
        library.latimer_score_ngrams.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_int, ctypes.c_double,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
    except (OSError, AttributeError) as error:
        _log.warning("the C++ of language detection cannot be opened", extra={"reason": str(error)})
        return None
    if version != _INTERFACE:
        _log.warning("the C++ of language detection has another version", extra={"reason": "install the package again"})
        return None
    return library


def _cut(word: bytes) -> list[bytes]:
    """Returns the n-grams of a word in UTF-8: pieces of six bytes, with a space at the start and end of the word.

    The last piece of a long word overlaps the one before it.
    """
    if len(word) <= _NGRAM_BYTES:
        return [b" " + word + b" "]
    inner = range(_NGRAM_BYTES, len(word) - _NGRAM_BYTES, _NGRAM_BYTES)
    return [
        b" " + word[:_NGRAM_BYTES],
        *(word[start : start + _NGRAM_BYTES] for start in inner),
        word[-_NGRAM_BYTES:] + b" ",
    ]


def _hash(ngrams: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Returns the keys of n-grams, given as the numbers that their eight bytes are: the upper half of eldc's hash.

    Its steps are the first ones of SplitMix64. eldc takes 1 for the key 0.
    """
    mixed = (ngrams ^ (ngrams >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = ((mixed ^ (mixed >> np.uint64(27))) >> np.uint64(32)).astype(np.uint32)
    keys[keys == 0] = 1
    return keys


def _write_class(classes: NDArray[np.uint8], kind: int) -> str:
    """Returns a character class of a regular expression, with all code points of this kind."""
    members = np.flatnonzero(classes == kind)
    first = members[np.diff(members, prepend=-2) > 1]
    last = members[np.diff(members, append=members[-1] + 2) > 1]
    return "[" + "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in zip(first.tolist(), last.tolist(), strict=True)) + "]"
