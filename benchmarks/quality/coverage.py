"""Measures the check of lost clauses on ordinary sentences, and on outputs from which a clause was taken.

`python -m benchmarks.quality.coverage` translates the sentences of the harm corpus by the bare students, and prints
each one that the check reports, for reading. Then it takes the tokens of one clause (between commas, of three or more
words) out of every output that has one, and prints the share that the check finds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.console import Console

from benchmarks.quality.harm.sentences import read_sentences
from benchmarks.students import NAMES, load_embedded_student, run_in_batches
from latimer_server.core.decoding import DecodingOptions
from latimer_server.text.checks.coverage import has_gap, loses_clause

_BATCH = 32
_CLAUSE = re.compile(r"(?<=, )[^,]+(?=, )")
_LEAST_WORDS = 3


@dataclass(frozen=True)
class Output:
    """A sentence with its output and the position of the source token of each output token.

    `tokens` and `output_tokens`: the spans of the tokens in both texts.
    """

    source: str
    tokens: list[tuple[int, int]]
    text: str
    output_tokens: list[tuple[int, int]]
    positions: list[int]

    def is_reported(self, language: str, lost: tuple[int, int] = (0, 0)) -> bool:
        """Returns True if the check reports the output without the tokens inside the span `lost`."""
        kept = {
            position
            for position, (start, end) in zip(self.positions, self.output_tokens, strict=True)
            if start < lost[0] or end > lost[1] or lost[0] == lost[1]
        }
        text = self.text[: lost[0]] + self.text[lost[1] :]
        return has_gap(len(self.tokens), kept) and loses_clause(self.source, self.tokens, kept, text, language)


def translate(languages: tuple[str, str]) -> list[Output]:
    """Returns the outputs of the bare student for the sentences of the harm corpus without line breaks."""
    student = load_embedded_student(NAMES[languages], 1)
    texts = [sentence.text for sentence in read_sentences()[languages] if "\n" not in sentence.text]
    texts = sorted(dict.fromkeys(texts), key=len)
    rows = [encoding.ids for encoding in student.encode(texts)]
    outputs = []
    for text, hypothesis in zip(
        texts, run_in_batches(student, rows, _BATCH, DecodingOptions(alignment=True)), strict=True
    ):
        written, spans = student.decode_spans(hypothesis.ids)
        positions = [position for position, _ in hypothesis.alignment]
        outputs.append(Output(text, list(student.token_spans(text)), written, list(spans), positions))
    return outputs


def main() -> None:
    """Prints the reported outputs and the counts."""
    console = Console()
    for languages in NAMES:
        outputs = translate(languages)
        reported = [output for output in outputs if output.is_reported(languages[0])]
        for output in reported:
            console.print(f"{output.source}\n  {output.text}", markup=False, highlight=False, soft_wrap=True)
        clauses = [
            (output, match.span())
            for output in outputs
            if (match := _CLAUSE.search(output.text)) is not None and len(match.group().split()) >= _LEAST_WORDS
        ]
        found = sum(output.is_reported(languages[0], span) for output, span in clauses)
        console.print(
            f"{'-'.join(languages)}: {len(reported)} of {len(outputs)} outputs are reported;"
            f" of {len(clauses)} with a clause taken out {found} ({found / max(1, len(clauses)):.0%})"
        )


if __name__ == "__main__":
    main()
