"""Usage: counts the characters, segments, tokens and seconds that a request takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from latimer_server.core.decoding import TimedHypothesis


@dataclass
class Usage:
    """The usage of one request, or of a part of it.

    `cached_segments`: the part of `segments` that came from the cache. `retried_segments`: the part of `segments` that
    was translated again, because its first output had a fault. `pieces`: pieces that a model computed, so none from
    the cache. `waited`: the queue time of all `pieces` together, in seconds. `started` and `ended`: when the first
    batch started and the last ended (monotonic seconds). The ranking of a text counts as a piece.
    """

    characters: int = 0
    segments: int = 0
    cached_segments: int = 0
    retried_segments: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    pieces: int = 0
    waited: float = 0.0
    started: float = field(default=float("inf"))
    ended: float = 0.0

    def count(self, outcome: TimedHypothesis, input_tokens: int, times: int = 1) -> None:
        """Adds a computed piece that occurs `times` times: its `input_tokens`, and its output tokens and times."""
        self.input_tokens += times * input_tokens
        self.output_tokens += times * len(outcome.hypothesis.ids)
        self.count_times(outcome.queued, outcome.started, outcome.ended, times)

    def count_times(self, queued: float, started: float, ended: float, times: int = 1) -> None:
        """Adds a computed piece without its tokens: when it was queued, and when its batch started and ended."""
        self.pieces += times
        self.waited += times * (started - queued)
        self.started = min(self.started, started)
        self.ended = max(self.ended, ended)

    def add(self, other: Usage) -> None:
        """Adds the tokens, pieces and times of another usage, but not its characters and segments.

        The caller adds those itself, because they may be of text that is already counted here.
        """
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.pieces += other.pieces
        self.waited += other.waited
        self.started = min(self.started, other.started)
        self.ended = max(self.ended, other.ended)

    @property
    def queue_seconds(self) -> float:
        """The mean queue time of a piece in seconds; 0 without pieces."""
        return self.waited / self.pieces if self.pieces else 0.0

    @property
    def compute_seconds(self) -> float:
        """The seconds from the start of the first batch to the end of the last; 0 without pieces."""
        return max(0.0, self.ended - self.started) if self.pieces else 0.0
