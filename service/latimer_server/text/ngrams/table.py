"""The table of n-grams, and the classes of characters that divide a text into words.

The key of an n-gram is a 32-bit hash. Its upper 16 bits number a bucket; the lower 16 bits, the remainder, are stored.
A missing n-gram is taken for another one with probability 0.0003.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import starmap
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "data" / "table.npz"
BUCKETS = 1 << 16
# A stored weight of 1 is this much evidence.
WEIGHT_UNIT = 256
# Labels are numbered from 0 to 63: the C++ counts on it.
MAX_LANGUAGES = 64

OTHER, LETTER, IDEOGRAPH, APOSTROPHE = range(4)
# The highest code point that has a class is below this one.
_CLASSIFIED = 0x30000
_BASIC_PLANE = 0x10000
_APOSTROPHES = "'`’"
# Characters that are words by themselves: Han, kana, Hangul and the marks used with them (first and last code points).
# They are those of eldc.
_IDEOGRAPHS = (
    (0x1100, 0x11FF), (0x2E80, 0x2E99), (0x2E9B, 0x2EF3), (0x2F00, 0x2FD5), (0x3001, 0x3003), (0x3005, 0x3011),
    (0x3013, 0x301F), (0x3021, 0x3035), (0x3037, 0x303F), (0x3041, 0x3096), (0x3099, 0x30FF), (0x3131, 0x318E),
    (0x3190, 0x319F), (0x31C0, 0x31E3), (0x31F0, 0x321E), (0x3220, 0x3247), (0x3260, 0x327E), (0x3280, 0x32B0),
    (0x32C0, 0x32CB), (0x32D0, 0x3370), (0x337B, 0x337F), (0x33E0, 0x33FE), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xA700, 0xA707), (0xA960, 0xA97C), (0xAC00, 0xD7A3), (0xD7B0, 0xD7C6), (0xD7CB, 0xD7FB), (0xF900, 0xFA6D),
    (0xFA70, 0xFAD9), (0xFE45, 0xFE46), (0xFF61, 0xFFBE), (0xFFC2, 0xFFC7), (0xFFCA, 0xFFCF), (0xFFD2, 0xFFD7),
    (0xFFDA, 0xFFDC), (0x20000, 0x2A6DF), (0x2A700, 0x2CEAF), (0x2CEB0, 0x2EBEF), (0x2F800, 0x2FA1F),
)  # fmt: skip

Bytes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class NgramTable:
    """N-grams and their weights in each language.

    `languages`: ISO 639-1 codes, at most 64. `starts` (65,537): the first row of each bucket, and the number of rows.
    A row is a weight of one n-gram in one language: `remainders` (n) are the lower 16 bits of the n-gram's key,
    `labels` (n) indexes of languages, `weights` (n) in units of 256.
    """

    languages: tuple[str, ...]
    starts: NDArray[np.uint32]
    remainders: NDArray[np.uint16]
    labels: Bytes
    weights: Bytes


@cache
def read_table() -> NgramTable:
    """Returns the table of this package (6.5 MB, 10 ms at the first call). Raises `ValueError` for a damaged file."""
    with np.load(FILE, allow_pickle=False) as arrays:
        rows = np.asarray(arrays["rows"], np.uint32)
        table = NgramTable(
            languages=tuple(map(str, arrays["languages"])),
            starts=np.concatenate((np.zeros(1, np.uint32), np.cumsum(rows, dtype=np.uint32))),
            remainders=np.ascontiguousarray(arrays["remainders"], np.uint16),
            labels=np.ascontiguousarray(arrays["labels"], np.uint8),
            weights=np.ascontiguousarray(arrays["weights"], np.uint8),
        )
    count = len(table.remainders)
    if not (len(rows) == BUCKETS and table.starts[-1] == count == len(table.labels) == len(table.weights)):
        raise ValueError(f"the table of n-grams is damaged: {FILE}")
    if not table.labels.max() < len(table.languages) <= MAX_LANGUAGES:
        raise ValueError(f"the table of n-grams is damaged: {FILE}")
    return table


@cache
def classify_characters() -> Bytes:
    """Returns the class of each code point below 0x30000: OTHER, LETTER, IDEOGRAPH or APOSTROPHE.

    A letter is a character of the Unicode category L in the basic plane; combining marks are none.
    """
    classes = np.full(_CLASSIFIED, OTHER, np.uint8)
    classes[:_BASIC_PLANE] = np.fromiter(map(str.isalpha, map(chr, range(_BASIC_PLANE))), bool) * np.uint8(LETTER)
    classes[np.concatenate(list(starmap(lambda first, last: np.arange(first, last + 1), _IDEOGRAPHS)))] = IDEOGRAPH
    classes[list(map(ord, _APOSTROPHES))] = APOSTROPHE
    return classes
