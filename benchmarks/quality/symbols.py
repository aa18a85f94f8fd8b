"""Measures which symbols the embedded models copy, so that a symbol can be the mask of protected spans.

`python -m benchmarks.quality.symbols` replaces one to four words of real sentences by symbols of each form. It counts
the sentences whose translation contains every symbol exactly once, in both directions. The English sentences come from
the texts of `benchmarks/quality/faithfulness`; the Portuguese ones are their translations by the model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.students import NAMES, load_embedded_student, translate_in_batches
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.text.segmentation import Splitting, segment_text

_TEXTS = Path(__file__).parent / "faithfulness" / "texts"
_FORMS = (
    *("T-#", "_#_", "XYZ#", "[#]", "X_#", "BX#", "(#)", "%#", "http://#", "ZX#", "K#", "X#", "ID#", "Q#"),
    *("www.#.com", "{#}", "<#>", "@#", "§#"),
)
_COUNT = 160
_BATCH = 16
_SEED = 2


def choose_sentences() -> list[str]:
    """Returns English sentences of 8 to 35 words, always the same ones."""
    sentences = [
        sentence
        for path in sorted(_TEXTS.glob("*.txt"))
        for sentence in segment_text(path.read_text("utf-8"), Splitting.SENTENCES, "en").segments
        if 8 <= len(sentence.split()) <= 35
    ]
    random.Random(_SEED).shuffle(sentences)
    return sentences[:_COUNT]


def put_symbols(sentences: Sequence[str], form: str) -> list[tuple[str, list[str]]]:
    """Replaces one to four words of each sentence by symbols, the same words for every form. Returns pairs of the text
    and its symbols."""
    rng = random.Random(_SEED)
    changed = []
    for sentence in sentences:
        words = sentence.split()
        places = sorted(rng.sample(range(len(words)), rng.choice((1, 1, 2, 3, 4))))
        symbols = [form.replace("#", str(number + 1)) for number in range(len(places))]
        for place, symbol in zip(places, symbols, strict=True):
            tail = re.search(r"[^\w]*$", words[place])
            words[place] = symbol + (tail.group() if tail else "")
        changed.append((" ".join(words), symbols))
    return changed


def count_copied(student: MarianStudent, sentences: Sequence[str], form: str) -> float:
    """Returns the share of sentences whose translation contains every symbol exactly once, as a separate word."""
    changed = put_symbols(sentences, form)
    outputs = translate_in_batches(student, [text for text, _ in changed], _BATCH)
    good = sum(
        all(len(re.findall(rf"(?<!\w){re.escape(symbol)}(?!\w)", output)) == 1 for symbol in symbols)
        for output, (_, symbols) in zip(outputs, changed, strict=True)
    )
    return good / len(outputs)


def main() -> None:
    """Prints the table, the best form first."""
    students = {"-".join(languages): load_embedded_student(name, 2) for languages, name in NAMES.items()}
    english = choose_sentences()
    sentences = {"en-pt": english, "pt-en": translate_in_batches(students["en-pt"], english, _BATCH)}
    rows = []
    for form in _FORMS:
        shares = [count_copied(student, sentences[name], form) for name, student in students.items()]
        rows.append((sum(shares) / len(shares), form, shares))
    table = Table("form", *students, "both", box=None, pad_edge=False)
    for both, form, shares in sorted(rows, reverse=True):
        table.add_row(escape(form), *(f"{share:.1%}" for share in shares), f"{both:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
