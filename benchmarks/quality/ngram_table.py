"""Makes the table of n-grams of language detection, `text/ngrams/data/table.npz`, from the source of eldc 0.4.0.

    pip download --no-deps --no-binary eldc eldc==0.4.0
    .venv/bin/python -m benchmarks.quality.ngram_table eldc-0.4.0.tar.gz

The source distribution holds the table as a C header (`large_db.h`, Apache-2.0): an open hash table of the upper halves
of 64-bit hashes, each with a run of weights. A weight is a float whose last byte is the number of its language. Here
the weights are rounded to multiples of 256 (their median is 17,700), and the rows are sorted by hash.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latimer_server.text.ngrams.table import BUCKETS, FILE, WEIGHT_UNIT

SOURCE_SHA256 = "889f7c2ce0719502684277583d4cf8495e4944a90908fb8bf0da02d0bc394c66"
_HEADER = "eldc-0.4.0/src/eldc/large_db.h"
_SLOT = re.compile(r"\{0x([0-9A-F]+)u,0x([0-9A-F]+)u\}")


def read_header(archive: Path) -> str:
    """Returns the text of the header. Raises `ValueError` for another archive."""
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SOURCE_SHA256:
        raise ValueError(f"{archive} is not the source distribution of eldc 0.4.0")
    with tarfile.open(archive) as files:
        file = files.extractfile(_HEADER)
        if file is None:
            raise ValueError(f"{archive} has no {_HEADER}")
        return file.read().decode()


def convert(header: str) -> dict[str, NDArray[np.generic]]:
    """Returns the arrays of the table by name; `latimer_server.text.ngrams.table` describes them."""
    languages = re.findall(r'"(\w\w)"', _find_braces(header, "ELD_langCodes"))
    slots = np.fromiter(_read_slots(_find_braces(header, "ELD_hashtable")), np.dtype((np.uint32, 2)))
    blob = np.array(_find_braces(header, "ELD_blob").split(","), np.uint32)
    hashes, places = slots.T
    counts, offsets = (places >> 24).astype(np.intp), (places & 0xFFFFFF).astype(np.intp)
    # The rows of each n-gram are a run of `counts` numbers of the blob.
    before = np.cumsum(counts) - counts
    found = blob[np.repeat(offsets - before, counts) + np.arange(counts.sum())]
    keys = np.repeat(hashes, counts)
    order = np.lexsort((found & 0xFF, keys))
    keys, found = keys[order], found[order]
    weights = np.round((found & 0xFFFFFF00).view(np.float32) / WEIGHT_UNIT)
    return {
        "languages": np.array(languages),
        "rows": np.bincount(keys >> 16, minlength=BUCKETS).astype("<u2"),
        "remainders": (keys & 0xFFFF).astype("<u2"),
        "labels": (found & 0xFF).astype(np.uint8),
        "weights": weights.astype(np.uint8),
    }


def _find_braces(header: str, name: str) -> str:
    """Returns the text between the outer braces of the array `name`."""
    start = header.index("{", header.index("=", re.search(rf"\b{name}\[", header).start()))  # type: ignore[union-attr]
    return header[start + 1 : header.index("};", start)]


def _read_slots(text: str) -> Iterator[tuple[int, int]]:
    """Yields hash and place of each slot in use."""
    for found in _SLOT.finditer(text):
        yield int(found[1], 16), int(found[2], 16)


def main() -> int:
    """Writes the table and prints its size and SHA-256."""
    arrays = convert(read_header(Path(sys.argv[1])))
    np.savez(FILE, **arrays)  # type: ignore[arg-type]
    print(f"{FILE}: {len(arrays['labels']):,} rows, {FILE.stat().st_size:,} bytes")
    print("sha256", hashlib.sha256(FILE.read_bytes()).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
