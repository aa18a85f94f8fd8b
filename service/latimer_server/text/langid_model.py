"""Reads the model of py3langid without its temporary file of 68 MB, which a read-only file system has no place for.

The model is a zip archive of numpy arrays inside an LZMA stream. The archive is read from front to back, so that never
more than one of its arrays is in memory twice. Formats: PKWARE's APPNOTE.TXT, 4.3.7, and numpy's NEP 1.
"""

from __future__ import annotations

import lzma
import struct
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

# The header of a file in a zip archive: signature, four fields of two bytes with the compression in the third place,
# date and time, checksum and two sizes, and the lengths of the name and of the extra field that follow.
_HEADER = struct.Struct("<4s2xHH16xHH")
_SIGNATURE = b"PK\x03\x04"
_STORED = 0
# Bit 3 of the flags: the sizes come after the data, so that its end cannot be found this way.
_SIZES_FOLLOW = 8


class LangidIdentifier(Protocol):
    """A `LanguageIdentifier` of py3langid, which has no type stubs. Thread-safe."""

    @property
    def labels(self) -> Sequence[str]:
        """The languages."""
        ...

    def rank(self, text: str, /) -> Sequence[tuple[str, float]]:
        """Returns each language with its probability, the likeliest first."""
        ...


def load_identifier() -> LangidIdentifier:
    """Returns the identifier of py3langid, whose results are probabilities (68 MB, 0.4 s).

    Raises `ValueError` if the installed version of py3langid stores its model in another way.
    """
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    path = Path(MODEL_DIR) / MODEL_FILE
    with lzma.open(path) as stream:
        arrays = dict(_read_arrays(stream))
    try:
        identifier: LangidIdentifier = LanguageIdentifier(
            arrays.pop("ptc"),
            arrays.pop("pc"),
            arrays.pop("classes").tolist(),
            _copy(arrays.pop("nextmove")),
            arrays.pop("out_feat").tolist(),
            norm_probs=True,
            tk_row=_copy(arrays.pop("nextmove_row")),
        )
    except KeyError as error:
        raise ValueError(f"the model of py3langid has no {error}: {path}") from None
    return identifier


def _read_arrays(stream: IO[bytes]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Yields each array of an uncompressed .npz archive by its name, without `.npy`."""
    while (header := stream.read(_HEADER.size)).startswith(_SIGNATURE):
        _, flags, compression, name_bytes, extra_bytes = _HEADER.unpack(header)
        if compression != _STORED or flags & _SIZES_FOLLOW:
            raise ValueError("the model of py3langid is a compressed archive")
        name = stream.read(name_bytes).decode()
        stream.read(extra_bytes)
        yield name.removesuffix(".npy"), np.lib.format.read_array(stream, allow_pickle=False)


def _copy(numbers: NDArray[np.generic]) -> array[int]:
    """Returns a copy as an array of Python, whose elements Python reads faster than numpy's."""
    copied = array({1: "B", 2: "H", 4: "I", 8: "Q"}[numbers.itemsize])
    copied.frombytes(np.ascontiguousarray(numbers).view(np.uint8).data)
    return copied
