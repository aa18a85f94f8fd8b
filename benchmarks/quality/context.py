"""Measures how neighbouring sentences should be put together for the bare students, by chrF against human translations.

`python -m benchmarks.quality.context` takes texts of the harm corpus with several sentences in a line. It translates
each text in several ways: every sentence by itself; neighbours joined while together they have at most so many words;
the same if the joined output is likelier; and only unlikely sentences joined with a neighbour. A joined output counts
if it has as many sentences with the same ends, else its sentences are translated apart. `again`: the share of sentences
that are computed more than once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.console import Console
from rich.table import Table

from benchmarks.quality.harm.catalogues import read_catalogues
from benchmarks.quality.harm.documents import read_help, read_manual_pages
from benchmarks.quality.harm.parallel import choose_pairs
from benchmarks.quality.harm.scores import compare_systems
from benchmarks.students import NAMES, load_embedded_student, run_in_batches
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import Hypothesis
from latimer_server.text.segmentation import Splitting, segment_text

_TEXTS = 1_600
_BATCH = 32
_END = re.compile(r"[.!?…]+(?=[\"'”’»)]*(?:\s|$))")
_LIMITS = (10, 20, 30, 40)
_DOUBTS = (-0.3, -0.4, -0.5, -0.7)
# The most code points of two sentences that are joined.
_LONGEST = 400


@dataclass(frozen=True)
class Output:
    """The output of a sentence or of joined ones, with the sum and the mean of its tokens' log-probabilities."""

    text: str
    log_prob: float
    mean: float


@dataclass(frozen=True)
class Result:
    """The translation of a text. `again`: the number of sentences that were translated more than once."""

    text: str
    again: int = 0


class Translations:
    """Outputs of one student, each different sentence computed once."""

    def __init__(self, student: MarianStudent) -> None:
        self._student = student
        self._known: dict[str, Output] = {}

    def compute(self, sentences: Iterable[str]) -> None:
        """Translates sentences in batches of similar lengths."""
        new = sorted({sentence for sentence in sentences if sentence not in self._known}, key=len)
        found = run_in_batches(self._student, [encoding.ids for encoding in self._student.encode(new)], _BATCH)
        texts = self._student.decode([hypothesis.ids for hypothesis in found])
        for sentence, text, hypothesis in zip(new, texts, found, strict=True):
            self._known[sentence] = _describe(text, hypothesis)

    def __getitem__(self, sentence: str) -> Output:
        """Returns the output of a sentence that was computed."""
        return self._known[sentence]


def _describe(text: str, hypothesis: Hypothesis) -> Output:
    return Output(text, hypothesis.log_prob, hypothesis.log_prob / max(1, hypothesis.token_count))


def keeps_sentences(sentences: Sequence[str], output: str, language: str) -> bool:
    """Returns True if an output has as many sentences as its source, with the same ends."""
    written = segment_text(output, Splitting.SENTENCES, language).segments
    return [_END.findall(sentence)[-1:] for sentence in written] == [_END.findall(text)[-1:] for text in sentences]


def translate_apart(sentences: Sequence[str], known: Translations, language: str) -> Result:  # noqa: ARG001
    """Translates each sentence by itself."""
    return Result(" ".join(known[sentence].text for sentence in sentences))


def join_up_to(limit: int) -> Callable[[Sequence[str], Translations, str], Result]:
    """Returns a way that joins neighbours while together they have at most `limit` words."""

    def translate(sentences: Sequence[str], known: Translations, language: str) -> Result:
        parts, again = [], 0
        for group in group_sentences(sentences, limit):
            joined = known[" ".join(group)].text
            if len(group) > 1 and not keeps_sentences(group, joined, language):
                again += len(group)
                joined = " ".join(known[sentence].text for sentence in group)
            parts.append(joined)
        return Result(" ".join(parts), again)

    return translate


def join_likelier(limit: int) -> Callable[[Sequence[str], Translations, str], Result]:
    """Returns a way that joins neighbours as `join_up_to` does, and keeps that only if it is likelier than apart."""

    def translate(sentences: Sequence[str], known: Translations, language: str) -> Result:
        parts, again = [], 0
        for group in group_sentences(sentences, limit):
            joined = known[" ".join(group)]
            apart = [known[sentence] for sentence in group]
            keeps = keeps_sentences(group, joined.text, language)
            likelier = keeps and joined.log_prob > sum(output.log_prob for output in apart)
            again += len(group) if len(group) > 1 else 0
            parts.append(joined.text if likelier else " ".join(output.text for output in apart))
        return Result(" ".join(parts), again)

    return translate


def join_unlikely(least: float, gain: float = 0.0) -> Callable[[Sequence[str], Translations, str], Result]:
    """Returns a way that joins a sentence with its neighbour if its mean log-probability of a token is below `least`.

    The joined output counts if it is likelier than both outputs together by `gain`.
    """

    def translate(sentences: Sequence[str], known: Translations, language: str) -> Result:
        outputs = [known[sentence] for sentence in sentences]
        parts, again, index = [], 0, 0
        while index < len(sentences):
            here = outputs[index]
            if index + 1 < len(sentences):
                pair = sentences[index : index + 2]
                unlikely = here.mean < least or (outputs[index + 1].mean < least and index + 2 == len(sentences))
                if unlikely and len(" ".join(pair)) <= _LONGEST:
                    joined = known[" ".join(pair)]
                    again += 2
                    apart = here.log_prob + outputs[index + 1].log_prob
                    if keeps_sentences(pair, joined.text, language) and joined.log_prob > apart + gain:
                        parts.append(joined.text)
                        index += 2
                        continue
            parts.append(here.text)
            index += 1
        return Result(" ".join(parts), again)

    return translate


def group_sentences(sentences: Sequence[str], limit: int) -> list[list[str]]:
    """Returns the sentences in groups, each of as many neighbours as together have at most `limit` words."""
    groups: list[list[str]] = []
    size = 0
    for sentence in sentences:
        words = len(sentence.split())
        if groups and size + words <= limit:
            groups[-1].append(sentence)
            size += words
        else:
            groups.append([sentence])
            size = words
    return groups


WAYS = {
    **{f"joined up to {limit} words": join_up_to(limit) for limit in _LIMITS},
    **{f"joined up to {limit} words if likelier": join_likelier(limit) for limit in _LIMITS},
    **{f"unlikely below {least}": join_unlikely(least) for least in _DOUBTS},
}


def read_texts(language: str) -> list[tuple[list[str], str]]:
    """Returns texts as their sentences, each with its translation by a person."""
    pairs = [*read_catalogues(), *read_help(), *read_manual_pages()]
    several = (
        pair
        for pair in pairs
        if all(_END.search(text[:-3]) for text in (pair.english, pair.portuguese))
        and len(segment_text(pair.english, Splitting.SENTENCES, "en").spans) > 1
    )
    texts = []
    for pair in choose_pairs(several, _TEXTS):
        source, reference = (pair.english, pair.portuguese) if language == "en" else (pair.portuguese, pair.english)
        sentences = segment_text(source, Splitting.SENTENCES, language).segments
        if len(sentences) > 1 and " ".join(sentences) == source:
            texts.append((sentences, reference))
    return texts


def main() -> int:
    """Prints the table of both directions."""
    table = Table("way", "direction", "changed", "again", "chrF - apart", "95%", "on changed", box=None)
    for source, target in NAMES:
        texts = read_texts(source)
        known = Translations(load_embedded_student(NAMES[source, target], 2))
        known.compute(sentence for sentences, _ in texts for sentence in sentences)
        known.compute(" ".join(pair) for sentences, _ in texts for pair in pairwise(sentences))
        for limit in _LIMITS:
            known.compute(" ".join(group) for sentences, _ in texts for group in group_sentences(sentences, limit))
        apart = [translate_apart(sentences, known, target) for sentences, _ in texts]
        count = sum(len(sentences) for sentences, _ in texts)
        for name, way in WAYS.items():
            found = [way(sentences, known, target) for sentences, _ in texts]
            rows = [(new.text, old.text, text[1]) for new, old, text in zip(found, apart, texts, strict=True)]
            whole = compare_systems(*zip(*rows, strict=True))
            changed = [row for row in rows if row[0] != row[1]]
            on_changed = compare_systems(*zip(*changed, strict=True)) if changed else None
            table.add_row(
                name,
                f"{source}-{target}",
                f"{len(changed)} of {len(texts)}",
                f"{sum(result.again for result in found) / count:.1%}",
                f"{whole.difference:+.2f}",
                f"{whole.low:+.2f} to {whole.high:+.2f}",
                f"{on_changed.difference:+.2f}" if on_changed else "",
            )
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
