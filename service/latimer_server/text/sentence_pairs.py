"""Joins very short sentences with a neighbour, since a model invents text around a sentence of one or two words.

`Thank you.` alone becomes `Obrigado por enviar uma edição.`; before another sentence it becomes `Obrigado.` A model
that reads two sentences may write one, so `keeps_pair` compares the output. Decision 0074 measures both.

Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.segmentation import Document, Splitting, segment_text

# The most code points of two sentences that are joined.
_LONGEST = 400
# One or two words of letters, and the end of a sentence.
_SHORT = re.compile(r"(?:[^\W\d_]++(?:['’-][^\W\d_]++)*+,? ?){1,2}[.!?…]{1,3}")
_END = re.compile(r"[.!?…]+(?=[\"'”’»)]*(?:\s|$))")
_INNER_END = re.compile(r"[.!?…] ")


def join_short(
    text: str, spans: Sequence[TextSpan], kept: Sequence[TextSpan] = (), cuts: Collection[int] = ()
) -> Iterator[TextSpan]:
    """Yields the spans of sentences, each very short one joined with the next one, or the last one with the one before.

    One space stands between the two. A short sentence has no protected span (`kept`: ascending, disjoint), and no
    sentence is joined twice or across one of the offsets `cuts`.
    """
    if len(spans) == 1:
        yield spans[0]
        return
    is_short = [_is_short(text, span) and not _overlaps(kept, span) for span in spans]
    index = 0
    while index < len(spans):
        span = spans[index]
        if index + 1 < len(spans):
            following = spans[index + 1]
            is_last = index + 2 == len(spans)
            if (is_short[index] or (is_short[index + 1] and is_last)) and may_join(text, span, following, cuts):
                span = TextSpan(span.start, following.end)
                index += 1
        yield span
        index += 1


def find_pair(text: str, language: str) -> Document | None:
    """Returns the two sentences of a segment that `join_short` joined; None for any other. `language`: BCP-47 code."""
    if len(text) > _LONGEST or not _INNER_END.search(text):
        return None
    document = segment_text(text, Splitting.SENTENCES, language)
    if len(document.spans) != 2 or not any(_is_short(text, span) for span in document.spans):
        return None
    return document


def keeps_pair(pair: Document, output: str, language: str) -> bool:
    """Returns True if an output has two sentences that end like those of its source. `language`: that of the output."""
    return has_same_ends(pair.segments, segment_text(output, Splitting.SENTENCES, language).segments)


def has_same_ends(sentences: Sequence[str], others: Sequence[str]) -> bool:
    """Returns True if two texts have as many sentences, which end with the same punctuation."""
    first, second = ([_END.findall(sentence)[-1:] for sentence in text] for text in (sentences, others))
    return first == second


def _is_short(text: str, span: TextSpan) -> bool:
    return _SHORT.fullmatch(text, span.start, span.end) is not None


def may_join(text: str, first: TextSpan, second: TextSpan, cuts: Collection[int] = ()) -> bool:
    """Returns True if two sentences of a text may be translated together: neighbours in a line, not in capitals.

    `cuts`: offsets across which none are joined.
    """
    if text[first.end : second.start] != " " or second.end - first.start > _LONGEST:
        return False
    if first.end in cuts or second.start in cuts or text[first.end - 1] not in ".!?…":
        return False
    # A sentence in capitals is read in small letters, and only as a whole.
    sentences = (text[span.start : span.end] for span in (first, second))
    return not any(sentence.isupper() and sum(map(str.isalpha, sentence)) > 1 for sentence in sentences)


def _overlaps(kept: Sequence[TextSpan], span: TextSpan) -> bool:
    number = bisect_right(kept, span.start, key=lambda other: other.end)
    return number < len(kept) and kept[number].start < span.end
