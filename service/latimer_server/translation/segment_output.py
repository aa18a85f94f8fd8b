"""The output of a segment: its text, score, flags, alternatives and alignment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link


@dataclass(frozen=True)
class Alternative:
    """Another output of a segment, and the mean log-probability of its tokens."""

    text: str
    avg_log_prob: float


@dataclass(frozen=True)
class SegmentOutput:
    """A segment's output, the log-probability of its tokens over all models so far, and its flags.
    `alternatives`: the last model's, the best first. `protected`: where the source's protected spans stand now, in
    the source's order. `links`: which words answer which, where that was asked for and the model knows."""

    text: str
    log_prob: float = 0.0
    token_count: int = 0
    flags: tuple[Flag, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    protected: tuple[TextSpan, ...] = ()
    links: tuple[Link, ...] | None = None

    @property
    def avg_log_prob(self) -> float:
        """The mean over its tokens; 0 where no model ran."""
        return average_log_prob([self])

    def followed_by(self, later: SegmentOutput) -> SegmentOutput:
        """The output of the next model on this one's text, with what this one said. It came from the cache if all of
        it did."""
        flags = self.flags + later.flags
        if not all(Flag.CACHED in one.flags for one in (self, later) if one.token_count):
            flags = tuple(flag for flag in flags if flag is not Flag.CACHED)
        return SegmentOutput(
            later.text,
            self.log_prob + later.log_prob,
            self.token_count + later.token_count,
            flags,
            later.alternatives,
            later.protected,
            later.links,
        )


def average_log_prob(outputs: Iterable[SegmentOutput]) -> float:
    """The mean natural log-probability of all tokens of the outputs; 0 where there are none."""
    total, count = 0.0, 0
    for output in outputs:
        total, count = total + output.log_prob, count + output.token_count
    return total / count if count else 0.0
