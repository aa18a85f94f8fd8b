"""Counts what a batch would send, and measures a few texts to estimate its time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latimer.batch.job import SurveyedFile
from latimer.batch.results import Reading, SentUnit
from latimer.batch.runner import Memory, count_words, digest_unit
from latimer.batch.sending import Sender, pack_units
from latimer.errors import LatimerError
from latimer.files import Unit

_CHUNK = 512
# The probe: at most this many units, spread over the batch, and this many words.
_PROBE_UNITS = 256
_PROBE_WORDS = 5_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a batch would do.

    `repeated`: units that equal an earlier one. `remembered`: units in the memory. `to_send` and `words_to_send`: the
    rest. `seconds`: the estimated time; None if nothing is to be sent.
    """

    units: int
    words: int
    repeated: int
    remembered: int
    to_send: int
    words_to_send: int
    seconds: float | None


def estimate(surveyed: Sequence[SurveyedFile], sender: Sender, memory: Memory | None = None) -> Estimate:
    """Returns the estimate of a batch. Raises `LatimerError` if the server fails."""
    seen: set[bytes] = set()
    distinct = 0
    to_send = words_to_send = 0
    sample: list[Unit] = []
    every = 1  # of the units to send, the share of the sample
    for chunk in _read_chunks(surveyed, seen):
        distinct += len(chunk)
        for unit in _select_unknown(chunk, memory):
            to_send += 1
            words_to_send += count_words(unit.text)
            if to_send % every == 0:
                sample.append(unit)
        if len(sample) > 2 * _PROBE_UNITS:
            sample, every = sample[1::2], 2 * every
    units = sum(file.units for file in surveyed)
    return Estimate(
        units=units,
        words=sum(file.words for file in surveyed),
        repeated=units - distinct,
        remembered=distinct - to_send,
        to_send=to_send,
        words_to_send=words_to_send,
        seconds=_probe(sample, words_to_send, sender) if sample else None,
    )


def _read_chunks(surveyed: Sequence[SurveyedFile], seen: set[bytes]) -> Iterator[list[Unit]]:
    """Yields the distinct units of all files in chunks. `seen`: grows by 8 bytes of the digest of each."""
    chunk: list[Unit] = []
    for file in surveyed:
        for unit in file.document.units() if file.document else ():
            digest = digest_unit(unit)[:8]
            if digest not in seen:
                seen.add(digest)
                chunk.append(unit)
                if len(chunk) == _CHUNK:
                    yield chunk
                    chunk = []
    yield chunk


def _select_unknown(units: Sequence[Unit], memory: Memory | None) -> Sequence[Unit]:
    if memory is None:
        return units
    return [unit for unit, found in zip(units, memory.find(units), strict=True) if found is None]


def _probe(sample: Sequence[Unit], words: int, sender: Sender) -> float:
    """Returns the seconds that so many words take, at the pace of a sample."""
    chosen: list[Unit] = []
    probed = 0
    for unit in sample[:_PROBE_UNITS]:
        chosen.append(unit)
        probed += count_words(unit.text)
        if probed >= _PROBE_WORDS:
            break
    groups: dict[Reading, list[SentUnit]] = {}
    for ticket, unit in enumerate(chosen):
        groups.setdefault(Reading(unit.form, unit.syntaxes), []).append(SentUnit(ticket, unit.text))
    begun = time.monotonic()
    for reading, texts in groups.items():
        for group in pack_units(texts):
            sender.send(reading, group)
    answered = 0
    while answered < len(chosen):
        outcome = sender.results.get()
        if isinstance(outcome, LatimerError):
            raise outcome
        answered += len(outcome)
    return (time.monotonic() - begun) * words / max(probed, 1)
