"""Links: which words of a translation answer which words of its source.

Where they come from (a model's attention) and what they are used for (markup, protection) is known elsewhere; pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from latimer_server.text.segmentation import TextSpan


@dataclass(frozen=True)
class Link:
    """A range of the source that a range of the translation answers, and how sure that is (0 to 1).

    Code points, half-open. A range of several words, up to a whole sentence, says only that the words
    in it answer the words of the other together.
    """

    source: TextSpan
    target: TextSpan
    score: float


def shift_link(link: Link, source: int, target: int) -> Link:
    """The same link between longer texts, in which its own start at `source` and at `target`."""
    return Link(
        TextSpan(link.source.start + source, link.source.end + source),
        TextSpan(link.target.start + target, link.target.end + target),
        link.score,
    )
