"""The output of a segment: its text, score, flags, alternatives and alignment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.protection.spans import merge_spans


@dataclass(frozen=True)
class Alternative:
    """Another output of a segment, and the mean natural log-probability of its tokens."""

    text: str
    avg_log_prob: float


@dataclass(frozen=True)
class SegmentOutput:
    """The output of one segment after the models that have run so far.

    `log_prob` is the natural log-probability of all output tokens, summed over these models, and `token_count` their
    number. `alternatives` come from the last model, best first. `protected` gives the spans of the protected text in
    `text`, in the order of the source. `links` is the word alignment with the segment; None if it was not requested or
    the model has none.
    """

    text: str
    log_prob: float = 0.0
    token_count: int = 0
    flags: tuple[Flag, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    protected: tuple[TextSpan, ...] = ()
    links: tuple[Link, ...] | None = None

    @property
    def avg_log_prob(self) -> float:
        """The mean natural log-probability of a token; 0 if no model ran."""
        return average_log_prob([self])

    def get_unprotected_text(self) -> str:
        """Returns the text with a space for each protected span, since the language of these is the source's."""
        if not self.protected:
            return self.text
        guarded = ProtectedText(self.text, merge_spans(self.protected))
        return " ".join(self.text[part.start : part.end] for part in list_unprotected(guarded))

    def followed_by(self, later: SegmentOutput) -> SegmentOutput:
        """Returns `later`, the output of the next model on this text, with the scores and flags of both models.

        The result carries the CACHED flag only if every model output that it consists of came from the cache.
        """
        flags = self.flags + later.flags
        if not all(Flag.CACHED in output.flags for output in (self, later) if output.token_count):
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
    """Returns the mean natural log-probability of all tokens of the outputs; 0 if there are no tokens."""
    total, count = 0.0, 0
    for output in outputs:
        total, count = total + output.log_prob, count + output.token_count
    return total / count if count else 0.0
