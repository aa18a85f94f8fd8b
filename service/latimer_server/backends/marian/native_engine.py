"""Greedy and beam search over a Marian student in C++ (the folder `native`), with int8 products in the processor's
vector or matrix instructions.

The C++ is optional (see `native_library`). Without it, and for networks that it cannot compute, an `Engine` does.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence

from latimer_server.backends.marian.architecture import Architecture
from latimer_server.backends.marian.engine import Floats, sinusoids
from latimer_server.backends.marian.greedy import is_greedy
from latimer_server.backends.marian.length_cap import STEPS_PER_CANCEL_CHECK
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_batch import GreedyOutput, NativeBatch, count_beams
from latimer_server.backends.marian.native_library import InstructionSet, check_result, open_library
from latimer_server.backends.marian.native_structures import DecoderLayer, EncoderLayer, Pointer
from latimer_server.backends.marian.native_weights import WeightStructures
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds

# The number of position embeddings that are computed in advance. Longer outputs need an explicit request of a caller.
_POSITIONS = 512
# With more rows than these a batch polls for cancellation after so many steps, since a step takes up to a millisecond.
_FEW_ROWS, _FEW_STEPS = 4, 8
# The most hypotheses that a beam search computes together, unless one row has more. Each row takes about 300 kB for the
# weights of its candidates.
_MOST_HYPOTHESES = 32
_WITHDRAWN = Hypothesis((), 0.0, truncated=True)  # the result of a row that was cancelled before it began


class NativeStudent:
    """A student in the C++ library: its weights, packed for the processor, and the searches over it. Thread-safe.

    Without a `shortlist` every token of the vocabulary is a candidate. `instructions`: the processor must have them.
    `library` replaces the installed one. The caller must check `supports_model` first. Raises `ModelFileError` naming a
    bad file.
    """

    def __init__(
        self,
        source: MarianFile,
        shape: Architecture,
        shortlist: Shortlist | None,
        instructions: InstructionSet,
        library: ctypes.CDLL | None = None,
    ) -> None:
        library = library or open_library()
        assert library is not None  # noqa: S101 (without it `choose_instruction_set` returns None)
        self._library = library
        self.instructions = instructions
        self.shortlist = shortlist
        self.compute_type = f"int8/{instructions.label}"
        self._dimension = shape.dimension
        self._positions = sinusoids(_POSITIONS, shape.dimension)
        structures = WeightStructures(source, shape)
        encoder = (EncoderLayer * shape.encoder_depth)(
            *map(structures.encoder_layer, range(1, shape.encoder_depth + 1))
        )
        decoder = (DecoderLayer * shape.decoder_depth)(
            *map(structures.decoder_layer, range(1, shape.decoder_depth + 1))
        )
        tables, student = structures.tables(shortlist), Pointer()
        loaded = library.latimer_load(
            *map(ctypes.byref, (structures.sizes(), tables, encoder, decoder)), int(instructions), ctypes.byref(student)
        )
        check_result(loaded)
        self._student = student
        # Not at the end of the process: a batch may still use it.
        weakref.finalize(self, library.latimer_unload, student).atexit = False
        self._kept = structures.kept  # the arrays that the library points to
        self.memory_bytes = structures.matrix_bytes + sum(array.nbytes for array in self._kept)

    def search(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """Runs greedy or beam search. The output of a row does not depend on the others. See `GeneratorBackend.run`."""
        if is_greedy(options):
            return self._search_greedily(batch, options, cancelled)
        rows = max(1, _MOST_HYPOTHESES // count_beams(options))
        # Rows of similar length end at about the same step.
        order = sorted(range(len(batch)), key=lambda row: len(batch[row]))
        found = [_WITHDRAWN] * len(batch)
        for at in range(0, len(batch), rows):
            if at and cancelled():
                break
            part = order[at : at + rows]
            hypotheses = self._search_beams([batch[row] for row in part], options, cancelled)
            for row, hypothesis in zip(part, hypotheses, strict=True):
                found[row] = hypothesis
        return found

    def _search_greedily(
        self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled
    ) -> list[Hypothesis]:
        steps = _FEW_STEPS if len(batch) > _FEW_ROWS else STEPS_PER_CANCEL_CHECK
        output = GreedyOutput(len(batch), steps, aligned=options.alignment)
        with self._begin(batch, options) as running:
            position, left = 0, running.encode(cancelled) * len(batch)
            while left > 0 and not (position and cancelled()):
                left = running.advance(position, output)
                position += steps
        return output.list_hypotheses()

    def _search_beams(
        self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled
    ) -> list[Hypothesis]:
        with self._begin(batch, options) as running:
            position, left = 0, running.encode(cancelled) * len(batch)
            while left > 0 and not (position and cancelled()):
                left = running.advance_beams(position)
                position += 1
            return running.read_beams()

    def _begin(self, batch: Sequence[TokenIds], options: DecodingOptions) -> NativeBatch:
        return NativeBatch(self._library, self._student, batch, options, self._positions_from)

    def _positions_from(self, first: int, count: int) -> Floats:
        """Returns the embeddings [count, d] of the positions from `first` on."""
        if first + count <= len(self._positions):
            return self._positions[first : first + count]
        return sinusoids(first + count, self._dimension)[first:]
