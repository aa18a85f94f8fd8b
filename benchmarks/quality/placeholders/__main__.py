"""Compares stand-ins for placeholders by the sentence that a model writes around them.

`python -m benchmarks.quality.placeholders` translates each string of `strings.toml` with a natural word in the place of
each placeholder, and with each stand-in. A stand-in is good if it comes out, and if the rest of the sentence is as it
is around the natural word. Prints a table for each kind of placeholder, and one for
the server's choice by kind. Its columns are the share of strings in which all stand-ins come out exactly once, the
share in which the rest of the sentence is the same, and chrF of the rest against that around the natural word and
against the translation by people. A lost stand-in counts as an empty output. Writes `report.md` beside itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import sacrebleu

from benchmarks.quality.placeholders.strings import SoftwareString, fill, find_places, find_skeleton, read_strings
from benchmarks.students import NAMES, load_embedded_student, translate_in_batches
from latimer_server.backends.marian.student import MarianStudent
from latimer_server.text.protection.mask_forms import MASK_FORMS, MaskForm, choose_symbols

_REPORT = Path(__file__).with_name("report.md")
_BATCH = 16
# Models read straight quotation marks; the server restores typographic ones.
_STRAIGHT = str.maketrans("“”‘’", "\"\"''")
# The texts in the place of the first placeholder, the second and so on. `#`: its number.
NUMBERS: Mapping[str, tuple[str, ...]] = {
    "T-#": ("T-1", "T-2", "T-3"),
    "_#_": ("_1_", "_2_", "_3_"),
    "XYZ#": ("XYZ1", "XYZ2", "XYZ3"),
    "[#]": ("[1]", "[2]", "[3]"),
    "N": ("N", "M", "K"),
    "7": ("7", "8", "9"),
    "37": ("37", "58", "64"),
    "137": ("137", "258", "364"),
    "1437": ("1437", "2358", "3264"),
}
WORDS: Mapping[str, tuple[str, ...]] = {
    "T-#": ("T-1", "T-2", "T-3"),
    "_#_": ("_1_", "_2_", "_3_"),
    "XYZ#": ("XYZ1", "XYZ2", "XYZ3"),
    "[#]": ("[1]", "[2]", "[3]"),
    "XYZ": ("XYZ", "ABC", "QRS"),
    "X": ("X", "Y", "Z"),
    "Daniel": ("Daniel", "Bruno", "Laura"),
    "Toronto": ("Toronto", "Chicago", "Berlin"),
    "Toyota": ("Toyota", "Samsung", "Honda"),
    "Linux": ("Linux", "Windows", "Android"),
    "Alfa": ("Alfa", "Delta", "Omega"),
    "file.txt": ("abc.txt", "xyz.txt", "qrs.txt"),
    "37": ("37", "58", "64"),
}


# For a date and a time.
TIMES: Mapping[str, tuple[str, ...]] = {
    "T-#": ("T-1", "T-2"),
    "_#_": ("_1_", "_2_"),
    "XYZ#": ("XYZ1", "XYZ2"),
    "37": ("37", "58"),
    "17/05/2024, 10:45": ("17/05/2024", "10:45"),
    "2024-05-17, 10:45": ("2024-05-17", "10:45"),
}
_KINDS = (("numbers", NUMBERS), ("times", TIMES), ("people", WORDS), ("other words", WORDS))


@dataclass(frozen=True)
class Scores:
    """The scores of a stand-in; shares from 0 to 1."""

    copied: float
    same: float
    natural: float
    human: float


# Takes a string and returns a text for each of its placeholders.
Choose = Callable[[SoftwareString], Sequence[str]]


def measure(
    student: MarianStudent, strings: Sequence[SoftwareString], stand_ins: Mapping[str, Choose]
) -> dict[str, Scores]:
    """Returns the scores of each choice of stand-ins on those strings whose natural words come out."""
    natural = _translate(student, strings, [string.words for string in strings])
    pairs = [
        (string, skeleton)
        for string, output in zip(strings, natural, strict=True)
        if (skeleton := find_skeleton(output, string.target_words)) is not None
    ]
    used = [string for string, _ in pairs]
    expected = [skeleton for _, skeleton in pairs]
    humans = [_mark_reference(string) for string in used]
    scores = {"natural word": Scores(1, 1, 100, sacrebleu.corpus_chrf(expected, [humans]).score)}
    for name, choose in stand_ins.items():
        chosen = [choose(string) for string in used]
        outputs = _translate(student, used, chosen)
        found = [find_skeleton(output, row) or "" for output, row in zip(outputs, chosen, strict=True)]
        scores[name] = Scores(
            sum(map(bool, found)) / len(found),
            sum(one == other for one, other in zip(found, expected, strict=True)) / len(found),
            sacrebleu.corpus_chrf(found, [expected]).score,
            sacrebleu.corpus_chrf(found, [humans]).score,
        )
    return scores


def _choose_by_kind(string: SoftwareString, form: MaskForm) -> Sequence[str]:
    """Returns the masks that the server chooses for the placeholders of a string in one form."""
    return choose_symbols(string.text, find_places(string.text, string.placeholders), (), form)


def _vary(fillers: Sequence[str], string: SoftwareString) -> tuple[str, ...]:
    """Returns a filler for each placeholder, with a percent sign where the placeholder includes one.

    Of a date and a time, the placeholder of a time gets the last one.
    """
    if string.kind == "times":
        return tuple(fillers[":" in word] for word in string.words)
    return tuple(filler + "%" * word.endswith("%") for filler, word in zip(fillers, string.words, strict=False))


def _translate(
    student: MarianStudent, strings: Sequence[SoftwareString], fillers: Sequence[Sequence[str]]
) -> list[str]:
    texts = [fill(string.text, string.placeholders, row) for string, row in zip(strings, fillers, strict=True)]
    return translate_in_batches(student, [text.translate(_STRAIGHT) for text in texts], _BATCH)


def _mark_reference(string: SoftwareString) -> str:
    """Returns the translation by people with the signs of `find_skeleton` in the place of its placeholders."""
    numbers = list(enumerate(string.placeholders, 1))
    signs = []
    for placeholder in string.reference_placeholders:
        index = next(i for i, (_, other) in enumerate(numbers) if other == placeholder)
        signs.append(f"<{numbers.pop(index)[0]}>")
    return fill(string.reference, string.reference_placeholders, signs).translate(_STRAIGHT)


def main() -> int:
    """Prints and writes the tables."""
    students = {"-".join(languages): load_embedded_student(name, 2) for languages, name in NAMES.items()}
    strings = {"-".join(languages): read_strings(*languages) for languages in NAMES}
    lines = ["# Stand-ins for placeholders", "", "Written by `make bench-placeholders`.", ""]
    for kind, series in _KINDS:
        chosen = {way: [string for string in found if string.kind == kind] for way, found in strings.items()}
        choices: dict[str, Choose] = {name: partial(_vary, fillers) for name, fillers in series.items()}
        columns = {way: measure(students[way], found, choices) for way, found in chosen.items()}
        lines += _describe(f"Placeholders for {kind}: {len(chosen['en-pt'])} strings", columns)
    best = MASK_FORMS[0]
    forms = {f"by kind, {word} for other words": replace(best, template=word) for word in ("T-#", "XYZ#")}
    forms["T-# for all"] = MaskForm("T-#")
    choices = {name: partial(_choose_by_kind, form=form) for name, form in forms.items()}
    columns = {way: measure(students[way], found, choices) for way, found in strings.items()}
    lines += _describe(f"All {len(strings['en-pt'])} strings", columns)
    text = "\n".join(lines)
    _REPORT.write_text(text, "utf-8")
    print(text)
    return 0


def _describe(title: str, columns: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    """Returns the lines of one table, the best stand-in first."""
    names = sorted(next(iter(columns.values())), key=lambda name: -sum(c[name].natural for c in columns.values()))
    cells = [f"{way}: come out | same rest | chrF natural | chrF people" for way in columns]
    lines = [
        f"## {title}",
        "",
        f"| stand-in | {' | '.join(cells)} |",
        "|---" + "|---:" * 8 + "|",
    ]
    for name in names:
        row = [columns[way][name] for way in columns]
        values = [f"{s.copied:.1%} | {s.same:.1%} | {s.natural:.1f} | {s.human:.1f}" for s in row]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
