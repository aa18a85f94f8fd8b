"""Makes the lists of words, `text/words/data/words.npz`, from the wheel of wordfreq 3.1.1.

    pip download --no-deps wordfreq==3.1.1
    .venv/bin/python -m benchmarks.quality.word_table wordfreq-3.1.1-py3-none-any.whl

The wheel has a list for each language, a gzipped msgpack array (Robyn Speer; the data CC BY-SA 4.0): item n holds the
words whose frequency is 10^(-n/100). Words of letters and apostrophes with four code points or more are taken.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
import zipfile
from pathlib import Path
from zlib import crc32

import msgpack
import numpy as np
from numpy.typing import NDArray

from latimer_server.text.words.word_list import FILE, FREQUENCY_UNIT, LANGUAGES, LEAST_LETTERS

SOURCE_SHA256 = "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473"
# The Zipf scale counts occurrences in 10^9 words.
_ZIPF_WORDS = 9
_STEPS = 100


def read_frequencies(wheel: Path, language: str) -> dict[str, float]:
    """Returns the words of a language and their frequencies on the Zipf scale. Raises `ValueError` for another file."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SOURCE_SHA256:
        raise ValueError(f"{wheel} is not the wheel of wordfreq 3.1.1")
    with zipfile.ZipFile(wheel) as files:
        packed = gzip.decompress(files.read(f"wordfreq/data/large_{language}.msgpack.gz"))
    _, *classes = msgpack.unpackb(packed)
    return {word: _ZIPF_WORDS - number / _STEPS for number, words in enumerate(classes) for word in words}


def convert(frequencies: dict[str, float]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Returns the ascending keys of the words and their frequencies in units of 0.1. Of equal keys the first counts."""
    rows: dict[int, int] = {}
    for word, frequency in frequencies.items():
        if len(word) >= LEAST_LETTERS and word.replace("'", "").isalpha():
            rows.setdefault(crc32(word.encode()), round(frequency / FREQUENCY_UNIT))
    keys = sorted(rows)
    return np.array(keys, "<u4"), np.array([rows[key] for key in keys], np.uint8)


def main() -> int:
    """Writes the lists and prints their sizes and the SHA-256 of the file."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for language in LANGUAGES:
        keys, values = convert(read_frequencies(Path(sys.argv[1]), language))
        arrays |= {f"{language}_keys": keys, f"{language}_frequencies": values}
        print(f"{language}: {len(keys):,} words")
    np.savez(FILE, **arrays)  # type: ignore[arg-type]
    print(f"{FILE.name}: {FILE.stat().st_size:,} bytes, sha256 {hashlib.sha256(FILE.read_bytes()).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
