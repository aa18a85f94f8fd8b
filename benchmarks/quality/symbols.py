"""Which symbols a model copies: in whose place a protected span is hidden from it.

`python -m benchmarks.quality.symbols` replaces one to four words of real sentences by symbols of each form and counts the
sentences in which every symbol comes out exactly once, in both directions. The English sentences are those of the
texts of `benchmarks/quality/faithfulness`, the Portuguese ones their translations by the model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.config.settings import load_settings
from latimer_server.core.decoding import DecodingOptions
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store
from latimer_server.text.segmentation import Splitting, segment_text

_TEXTS = Path(__file__).parent / "faithfulness" / "texts"
_FORMS = (
    *("T-#", "_#_", "XYZ#", "[#]", "X_#", "BX#", "(#)", "%#", "http://#", "ZX#", "K#", "X#", "ID#", "Q#"),
    *("www.#.com", "{#}", "<#>", "@#", "§#"),
)
_COUNT = 160
_BATCH = 16
_SEED = 2


def load(name: str) -> MarianStudent:
    """An embedded student."""
    return load_student(Store(load_settings(None).store).locate(load_catalog().get(name)), 2)


def translate(student: MarianStudent, texts: Sequence[str]) -> list[str]:
    """Every text by itself."""
    rows = [encoding.ids for encoding in student.encode(texts)]
    outputs: list[str] = []
    for start in range(0, len(rows), _BATCH):
        done = student.run(rows[start : start + _BATCH], DecodingOptions(), lambda: False)
        outputs += student.decode([hypothesis.ids for hypothesis in done])
    return outputs


def choose_sentences() -> list[str]:
    """English sentences of 8 to 35 words, the same each time."""
    sentences = [
        sentence
        for path in sorted(_TEXTS.glob("*.txt"))
        for sentence in segment_text(path.read_text("utf-8"), Splitting.SENTENCES, "en").segments
        if 8 <= len(sentence.split()) <= 35
    ]
    random.Random(_SEED).shuffle(sentences)
    return sentences[:_COUNT]


def put_symbols(sentences: Sequence[str], form: str) -> list[tuple[str, list[str]]]:
    """Each sentence with one to four of its words replaced, the same ones for every form, and the symbols."""
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
    """The share of sentences in whose translation every symbol stands exactly once, by itself."""
    changed = put_symbols(sentences, form)
    outputs = translate(student, [text for text, _ in changed])
    good = sum(
        all(len(re.findall(rf"(?<!\w){re.escape(symbol)}(?!\w)", output)) == 1 for symbol in symbols)
        for output, (_, symbols) in zip(outputs, changed, strict=True)
    )
    return good / len(outputs)


def main() -> None:
    """Prints the table, the best form first."""
    students = {"en-pt": load("firefox-en-pt"), "pt-en": load("firefox-pt-en")}
    english = choose_sentences()
    sentences = {"en-pt": english, "pt-en": translate(students["en-pt"], english)}
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
