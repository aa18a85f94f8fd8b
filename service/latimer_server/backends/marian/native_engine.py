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
from latimer_server.backends.marian.model_file import MarianFile
from latimer_server.backends.marian.native_batch import GreedyOutput, NativeBatch, count_beams
from latimer_server.backends.marian.native_library import InstructionSet, check_result, open_library
from latimer_server.backends.marian.native_structures import DecoderLayer, EncoderLayer, Pointer
from latimer_server.backends.marian.native_weights import WeightStructures
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.poll_time import Cancellation, PollTime

# The number of position embeddings that are computed in advance. Longer outputs need an explicit request of a caller.
_POSITIONS = 512
# The most steps of one call of the library, so that a batch polls now and then even if no poll time is set: the server
# takes this as a sign of progress.
_STEPS = 32
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
        """Runs greedy or beam search. The output of a row does not depend on the others. See `GeneratorBackend.run`.

        Polls a `Cancellation` at its poll time, and any other function after each step.
        """
        cancellation = cancelled if isinstance(cancelled, Cancellation) else Cancellation(cancelled, _poll_each_step())
        if is_greedy(options):
            return self._search_greedily(batch, options, cancellation)
        rows = max(1, _MOST_HYPOTHESES // count_beams(options))
        # Rows of similar length end at about the same step.
        order = sorted(range(len(batch)), key=lambda row: len(batch[row]))
        found = [_WITHDRAWN] * len(batch)
        for at in range(0, len(batch), rows):
            if at and cancellation():
                break
            part = order[at : at + rows]
            hypotheses = self._search_beams([batch[row] for row in part], options, cancellation)
            for row, hypothesis in zip(part, hypotheses, strict=True):
                found[row] = hypothesis
        return found

    def _search_greedily(
        self, batch: Sequence[TokenIds], options: DecodingOptions, cancellation: Cancellation
    ) -> list[Hypothesis]:
        output = GreedyOutput(len(batch), _STEPS, aligned=options.alignment)
        with self._begin(batch, options, cancellation) as running:
            if _encode(running, cancellation):
                while running.advance(output) and not cancellation():
                    pass
        return output.list_hypotheses()

    def _search_beams(
        self, batch: Sequence[TokenIds], options: DecodingOptions, cancellation: Cancellation
    ) -> list[Hypothesis]:
        with self._begin(batch, options, cancellation) as running:
            if _encode(running, cancellation):
                while running.advance_beams(_STEPS) and not cancellation():
                    pass
            return running.read_beams()

    def _begin(self, batch: Sequence[TokenIds], options: DecodingOptions, cancellation: Cancellation) -> NativeBatch:
        return NativeBatch(self._library, self._student, batch, options, self._positions_from, cancellation.time)

    def _positions_from(self, first: int, count: int) -> Floats:
        """Returns the embeddings [count, d] of the positions from `first` on."""
        if first + count <= len(self._positions):
            return self._positions[first : first + count]
        return sinusoids(first + count, self._dimension)[first:]


def _poll_each_step() -> PollTime:
    """Returns a poll time that has always come."""
    time = PollTime()
    time.set_after(0)
    return time


def _encode(running: NativeBatch, cancellation: Cancellation) -> bool:
    """Encodes all sources of a batch. Returns False if it was cancelled after some of them."""
    while running.encode():
        if cancellation():
            return False
    return True
