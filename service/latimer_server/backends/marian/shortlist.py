"""Reads Marian's lexical shortlist: the target tokens that may translate each source token.

Source: the binary shortlist of browsermt/marian-dev `src/data/shortlist.cpp`. The file is untrusted: its counts are
compared with its size before they are used.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from latimer_server.core.errors import ModelFileError

_MAGIC = 0xF11A48D5013417F5
_HEADER = struct.Struct("<6Q")

Ids = npt.NDArray[np.int64]


class Shortlist:
    """A lexical shortlist: the target ids that an output may contain, given its source ids.

    These candidates are the `first` most frequent target ids (0 to `first` - 1) and the candidates of each source id.
    With a `shared` vocabulary they also include the source ids themselves, so that a name can be copied. `offsets`
    holds where the candidates of each source id start in `ids`, and the end of the last. Raises `ModelFileError` naming
    `file` if it is malformed or does not fit vocabularies of these sizes.
    """

    def __init__(self, data: bytes, source_size: int, target_size: int, file: str, *, shared: bool) -> None:
        if len(data) < _HEADER.size:
            raise ModelFileError(file, "is cut off in its header")
        magic, _checksum, first, _best, offset_count, id_count = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise ModelFileError(file, "is not a binary lexical shortlist")
        if _HEADER.size + 8 * offset_count + 4 * id_count != len(data):
            raise ModelFileError(
                file, f"claims {offset_count} offsets and {id_count} ids, which its {len(data)} bytes do not hold"
            )
        if offset_count != source_size + 1:
            raise ModelFileError(
                file, f"is for a source vocabulary of {offset_count - 1} tokens, the model has {source_size}"
            )
        self.offsets: npt.NDArray[np.uint64] = np.frombuffer(data, "<u8", offset_count, _HEADER.size)
        self.ids: npt.NDArray[np.uint32] = np.frombuffer(data, "<u4", id_count, _HEADER.size + 8 * offset_count)
        if (self.offsets[1:] < self.offsets[:-1]).any() or int(self.offsets[-1]) > id_count:
            raise ModelFileError(file, "has offsets that do not ascend")
        if (id_count and int(self.ids.max()) >= target_size) or first > target_size:
            raise ModelFileError(file, "names target ids past the vocabulary")
        if first < 1:
            raise ModelFileError(file, "has no most frequent ids, so that an output could never end")
        self.first = first
        self._target_size = target_size
        self._shared = shared

    def candidates(self, source_ids: Sequence[int]) -> Ids:
        """Returns the candidates of a source with these ids, ascending and without duplicates.

        Marks them in a table of the vocabulary, which for one row is faster than sorting.
        """
        wanted = np.zeros(self._target_size, np.bool_)
        wanted[: self.first] = True
        tokens = set(source_ids)
        for token in tokens:
            wanted[self.ids[self.offsets[token] : self.offsets[token + 1]]] = True
        if self._shared:
            wanted[list(tokens)] = True
        return wanted.nonzero()[0]

    def list_candidates(self, batch: Sequence[Sequence[int]]) -> tuple[Ids, Ids]:
        """Returns the candidates of all rows as two flat arrays, rows and ids, ascending by row and then by id.

        Uses few operations for all rows together: each may release the interpreter lock, and then waits to get it
        back.
        """
        tokens_of_rows = [set(row) for row in batch]
        tokens = np.fromiter(itertools.chain.from_iterable(tokens_of_rows), np.int64)
        # A key is row * vocabulary size + id, so that one sort orders the candidates of all rows.
        bases = np.arange(len(batch)) * self._target_size
        base_of = np.repeat(bases, [len(row) for row in tokens_of_rows])
        starts = self.offsets[tokens].astype(np.int64)
        counts = self.offsets[tokens + 1].astype(np.int64) - starts
        # The concatenated indices of several slices of `ids`.
        places = np.arange(counts.sum()) + np.repeat(starts + counts - counts.cumsum(), counts)
        parts = [np.repeat(base_of, counts) + self.ids[places], (bases[:, None] + np.arange(self.first)).reshape(-1)]
        if self._shared:
            parts.append(base_of + tokens)
        keys = np.concatenate(parts)
        keys.sort()
        keys = keys[np.diff(keys, prepend=-1) > 0]
        rows = np.repeat(np.arange(len(batch)), np.diff(np.searchsorted(keys, bases), append=len(keys)))
        return rows, keys - bases[rows]
