"""Measures the check of unknown words on ordinary sentences, and ways to translate those that it reports again.

`python -m benchmarks.quality.unknown_words` translates the sentences of the harm corpus by the bare students and prints
each output that the check reports, for reading. Then it decodes those with an invented word again with the whole
vocabulary, greedily and by beams, and prints for each way how many outputs are not reported any more, how many of them
the quality ladder takes, since their mean log-probability of a token is not lower than before, the chrF of these
against the translations by people before and after, and the CPU seconds, also as a share of those of all sentences.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sacrebleu
from rich.console import Console
from rich.table import Table

from benchmarks.quality.harm.sentences import Sentence, read_sentences
from benchmarks.students import NAMES, load_embedded_student, run_in_batches
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.core.decoding import DecodingOptions
from latimer_server.text.checks.unknown_words import has_invented_word, has_unknown_word

_BATCH = 32
_WAYS = {
    "whole vocabulary": DecodingOptions(whole_vocabulary=True),
    "whole vocabulary, beam of 2": DecodingOptions(beam_size=2, whole_vocabulary=True),
}


@dataclass(frozen=True)
class Decoded:
    """A sentence, its output, and the mean log-probability of the output's tokens."""

    sentence: Sentence
    output: str
    avg_log_prob: float


def translate(
    student: MarianStudent, sentences: Sequence[Sentence], options: DecodingOptions
) -> tuple[list[Decoded], float]:
    """Returns the outputs of sentences and the seconds of CPU."""
    started = time.process_time()
    rows = [encoding.ids for encoding in student.encode([sentence.text for sentence in sentences])]
    hypotheses = run_in_batches(student, rows, _BATCH, options)
    outputs = student.decode([hypothesis.ids for hypothesis in hypotheses])
    seconds = time.process_time() - started
    scores = [hypothesis.log_prob / max(1, len(hypothesis.ids)) for hypothesis in hypotheses]
    return list(map(Decoded, sentences, outputs, scores)), seconds


def measure_ways(student: MarianStudent, found: Sequence[Decoded], languages: tuple[str, str], total: float) -> Table:
    """Decodes sentences again in each way. `found`: their first outputs. `total`: the CPU seconds of all sentences."""
    table = Table("way", "not reported", "taken", "chrF before", "after", "CPU seconds", "share", box=None)
    for name, options in _WAYS.items():
        again, seconds = translate(student, [one.sentence for one in found], options)
        pairs = [
            (old, new)
            for old, new in zip(found, again, strict=True)
            if not has_unknown_word(new.sentence.text, new.output, *languages)
        ]
        taken = [pair for pair in pairs if pair[1].avg_log_prob >= pair[0].avg_log_prob]
        known = [pair for pair in taken if pair[0].sentence.reference]
        references = [[old.sentence.reference for old, _ in known]]
        scores = [sacrebleu.corpus_chrf([pair[side].output for pair in known], references).score for side in (0, 1)]
        table.add_row(
            name,
            f"{len(pairs)} of {len(found)}",
            str(len(taken)),
            *(f"{score:.1f}" for score in scores),
            f"{seconds:.2f}",
            f"{seconds / total:.1%}",
        )
    return table


def main() -> None:
    """Prints the reported outputs and the tables."""
    console = Console(soft_wrap=True)
    for languages in NAMES:
        student = load_embedded_student(NAMES[languages], 1)
        by_text = {one.text: one for one in read_sentences()[languages] if "\n" not in one.text}
        sentences = sorted(by_text.values(), key=lambda sentence: len(sentence.text))
        decoded, seconds = translate(student, sentences, DecodingOptions())
        found = [one for one in decoded if has_unknown_word(one.sentence.text, one.output, *languages)]
        for one in found:
            console.print(f"{one.sentence.text}\n  {one.output}", markup=False, highlight=False)
        console.print(
            f"{'-'.join(languages)}: {len(found)} of {len(sentences)} outputs are reported; all took {seconds:.1f} s"
        )
        invented = [one for one in found if has_invented_word(one.sentence.text, one.output, *languages)]
        console.print(measure_ways(student, invented, languages, seconds))


if __name__ == "__main__":
    main()
