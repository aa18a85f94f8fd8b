"""The lists of words of this package and their lookup.

The key of a word is the CRC-32 of its UTF-8, so the lists hold no text. A missing word is taken for another one with
probability 0.00007.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

FILE = Path(__file__).parent / "data" / "words.npz"
LANGUAGES = ("en", "pt")
# A list has words of at least this many code points; shorter ones are often names of units, codes or foreign words.
LEAST_LETTERS = 4
# A stored frequency of 1 is this much on the Zipf scale.
FREQUENCY_UNIT = 0.1


@dataclass(frozen=True)
class WordList:
    """The words of one language. `keys` (n) ascend; `frequencies` (n) are in units of 0.1 on the Zipf scale."""

    keys: array[int]
    frequencies: bytes

    def find_frequency(self, word: str) -> float:
        """Returns the frequency of a word in small letters; 0 if the list lacks it.

        The unit is that of the Zipf scale (van Heuven et al. 2014): the logarithm to base 10 of the occurrences in a
        thousand million words. The rarest listed words have 1, `house` has 5.6.
        """
        key = crc32(word.encode())
        place = bisect_left(self.keys, key)
        found = place < len(self.keys) and self.keys[place] == key
        return self.frequencies[place] * FREQUENCY_UNIT if found else 0.0


@cache
def find_word_list(language: str) -> WordList | None:
    """Returns the list of a language (ISO 639-1 code, in small letters), None if there is none.

    The first call of a language reads its list (1.4 MB, some milliseconds). Raises `ValueError` for a damaged file.
    """
    if language not in LANGUAGES:
        return None
    import numpy as np

    with np.load(FILE, allow_pickle=False) as arrays:
        keys, frequencies = arrays[f"{language}_keys"], arrays[f"{language}_frequencies"]
    if len(keys) != len(frequencies) or not bool((keys[:-1] < keys[1:]).all()):
        raise ValueError(f"the list of words is damaged: {FILE}")
    listed = array("I")
    listed.frombytes(keys.astype(f"u{listed.itemsize}").tobytes())
    return WordList(listed, frequencies.astype(np.uint8).tobytes())
