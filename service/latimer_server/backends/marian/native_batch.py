"""One batch in the students' C++: hands over its rows, encodes and decodes them, and reads the output."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from latimer_server.backends.marian.engine import Floats
from latimer_server.backends.marian.greedy import is_greedy
from latimer_server.backends.marian.length_cap import output_cap
from latimer_server.backends.marian.native_library import check_result
from latimer_server.backends.marian.native_structures import (
    Hypotheses,
    Output,
    Pointer,
    Request,
    Tokens,
    point,
)
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.poll_time import PollTime

_DEFAULT_LENGTH_PENALTY = 1.0


def count_beams(options: DecodingOptions) -> int:
    """Returns the hypotheses that beam search keeps for each row."""
    return max(options.beam_size or 1, options.hypothesis_count)


class NativeBatch:
    """A batch of a student that the C++ `library` loaded. Must be used in a `with` block, which frees it.

    `positions` returns the embeddings [count, d] of `count` positions from its first argument on. Its methods compute
    until they are done or, after one step at least, until `poll_time` has come. Raises `ValueError` if an id or a size
    is not that of the student, and `MemoryError`.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        student: Any,  # noqa: ANN401 (a pointer of ctypes)
        batch: Sequence[TokenIds],
        options: DecodingOptions,
        positions: Callable[[int, int], Floats],
        poll_time: PollTime | None = None,
    ) -> None:
        self._poll_time = poll_time  # the library reads it
        self._library, self._positions, self._options = library, positions, options
        self.rows = len(batch)
        self._lengths = np.array([len(row) for row in batch], np.int32)
        self._ids = np.fromiter((token for row in batch for token in row), np.int32, int(self._lengths.sum()))
        self._caps = np.array([output_cap(len(row), options) for row in batch], np.int32)
        self._source_positions = positions(0, int(self._lengths.max()))
        request = Request(
            *map(point, (self._ids, self._lengths, self._caps, self._source_positions)),
            poll_time.address if poll_time else None,
            self._ids.size,
            self._source_positions.size,
            self.rows,
            int(options.alignment),
            int(options.whole_vocabulary),
            0 if is_greedy(options) else count_beams(options),
            options.hypothesis_count,
            options.no_repeat_ngram_size or 0,
            _DEFAULT_LENGTH_PENALTY if options.length_penalty is None else options.length_penalty,
            options.repetition_penalty or 1.0,
        )
        self._handle = Pointer()
        check_result(library.latimer_begin(student, ctypes.byref(request), ctypes.byref(self._handle)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._library.latimer_end(self._handle)

    def encode(self) -> int:
        """Encodes sources. Returns the number of those that are left; the batch may advance when none is."""
        return check_result(self._library.latimer_encode(self._handle))

    def advance(self, output: GreedyOutput) -> int:
        """Computes the next greedy steps, at most as many as `output` has room for. Returns the active rows."""
        output.reset()
        positions = self._positions(self._count_steps(), output.steps)
        left = self._library.latimer_advance(
            self._handle, output.steps, point(positions), positions.size, ctypes.byref(output.arrays)
        )
        check_result(left)
        output.collect()
        return int(left)

    def advance_beams(self, steps: int) -> int:
        """Computes the next steps of a beam search, at most `steps`. Returns the number of active hypotheses."""
        positions = self._positions(self._count_steps(), steps)
        return check_result(self._library.latimer_advance_beams(self._handle, steps, point(positions), positions.size))

    def read_beams(self) -> list[Hypothesis]:
        """Ends a beam search and returns the best hypothesis of each row with its alternatives.

        Hypotheses that are still active are truncated.
        """
        wanted, aligned = self._options.hypothesis_count, self._options.alignment
        counts = np.zeros((self.rows, wanted), np.int32)
        finished, scores = np.zeros(counts.shape, np.uint8), np.zeros(counts.shape, np.float64)
        listed = Hypotheses(point(counts), point(finished), point(scores), self.rows, wanted)
        size = check_result(self._library.latimer_list_hypotheses(self._handle, ctypes.byref(listed)))
        ids, focus = np.zeros(size, np.int32), np.zeros(size, np.int32)
        weights = np.zeros(size, np.float32)
        tokens = Tokens(point(ids), point(focus), point(weights), size)
        check_result(self._library.latimer_write_tokens(self._handle, ctypes.byref(tokens)))
        links = list(zip(focus.tolist(), weights.tolist(), strict=True)) if aligned else []
        all_ids, at, found = ids.tolist(), 0, []
        for columns in zip(counts.tolist(), finished.tolist(), scores.tolist(), strict=True):
            ranked = []
            for count, ended, score in zip(*columns, strict=True):
                if count < 0:
                    break
                end = at + count
                ranked.append(
                    Hypothesis(tuple(all_ids[at:end]), score, truncated=not ended, alignment=tuple(links[at:end]))
                )
                at = end
            found.append(replace(ranked[0], alternatives=tuple(ranked[1:])))
        return found

    def _count_steps(self) -> int:
        return int(self._library.latimer_count_steps(self._handle))


class GreedyOutput:
    """The output of all rows of a greedy search so far, and the arrays that the C++ writes `steps` steps to."""

    def __init__(self, rows: int, steps: int, *, aligned: bool) -> None:
        self.steps = steps
        self._aligned = aligned
        self._ids = np.zeros((rows, steps), np.int32)
        self._counts = np.zeros(rows, np.int32)
        self._finished = np.zeros(rows, np.uint8)
        self._scores = np.zeros(rows, np.float64)
        shape = (rows, steps) if aligned else (0, 0)
        self._focus, self._weights = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        self._tokens: list[list[int]] = [[] for _ in range(rows)]
        self._links: list[list[tuple[int, float]]] = [[] for _ in range(rows)]
        self.arrays = Output(
            point(self._ids),
            point(self._counts),
            point(self._finished),
            point(self._scores),
            point(self._focus),
            point(self._weights),
            rows,
            steps,
        )

    def reset(self) -> None:
        """Sets the number of new tokens of each row to 0 before a call of the library, which skips ended rows."""
        self._counts[:] = 0

    def collect(self) -> None:
        """Appends the tokens that the last call of the library wrote to the output of each row."""
        for row, count in enumerate(self._counts.tolist()):
            if count:
                self._tokens[row] += self._ids[row, :count].tolist()
                if self._aligned:
                    focus, weights = self._focus[row, :count].tolist(), self._weights[row, :count].tolist()
                    self._links[row] += zip(focus, weights, strict=True)

    def list_hypotheses(self) -> list[Hypothesis]:
        """Returns the hypothesis of each row, in the order of the batch."""
        rows = zip(self._tokens, self._scores.tolist(), self._finished.tolist(), self._links, strict=True)
        return [
            Hypothesis(tuple(tokens), score, truncated=not finished, alignment=tuple(links))
            for tokens, score, finished, links in rows
        ]
