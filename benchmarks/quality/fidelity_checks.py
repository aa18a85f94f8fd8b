"""Measures the checks of outputs on the real models' translations: false alarms, and caught damage.

    python -m benchmarks.quality.fidelity_checks [--tuning] [--show]

The sentences are the held-out ones of `benchmarks.quality.prose`; with `--tuning`, those that the checks were tuned on.
A reader judges every flag on an undamaged translation. The verdicts are in `fidelity_verdicts.toml`; a flag without a
verdict counts as a false alarm. The damage is made on purpose. `--show` prints every flagged translation.
"""

from __future__ import annotations

import random
import re
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.quality.prose import read_sentences, translate_sentences
from latimer_server.core.flags import Flag
from latimer_server.text.checks.output_checks import check_output

SENTENCES = 2_000
VERDICTS = Path(__file__).parent / "fidelity_verdicts.toml"
_FLAGS = (Flag.REPETITION, Flag.COPIED_SOURCE, Flag.LENGTH_RATIO, Flag.NUMBER_MISMATCH)
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_MIN_WORDS = 8


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation."""

    source: str
    output: str
    source_language: str
    target_language: str

    def check(self, output: str | None = None) -> tuple[Flag, ...]:
        """Returns the flags of the translation, or of `output` in its place."""
        return check_output(
            self.source,
            self.output if output is None else output,
            source_language=self.source_language,
            target_language=self.target_language,
        )


# Returns the damaged translation of a pair, or None if the damage is impossible there.
Damage = Callable[[Pair, random.Random], str | None]


def change_digit(pair: Pair, draw: random.Random) -> str | None:
    """Changes one digit of a number."""
    places = [i for i, c in enumerate(pair.output) if c.isdecimal()]
    if not places:
        return None
    place = draw.choice(places)
    other = draw.choice([c for c in "123456789" if c != pair.output[place]])
    return pair.output[:place] + other + pair.output[place + 1 :]


def drop_number(pair: Pair, draw: random.Random) -> str | None:
    """Removes a number."""
    return _replace_figure(pair, draw, lambda _: "")


def double_number(pair: Pair, draw: random.Random) -> str | None:
    """Repeats a number."""
    return _replace_figure(pair, draw, lambda figure: f"{figure} {figure}")


def swap_marks(pair: Pair, draw: random.Random) -> str | None:
    """Damages the decimal or thousands mark of a number: 1.234 becomes 1,234 and 3.5 becomes 35."""
    figures = [match for match in _FIGURE.finditer(pair.output) if re.fullmatch(r"\d+[.,]\d+", match.group())]
    if not figures:
        return None
    match = draw.choice(figures)
    figure = match.group()
    if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", figure):
        other = figure.translate(str.maketrans(".,", ",."))
    elif figure.rstrip("0")[-1] in ".,":
        other = re.sub("[.,]", "", figure)
    else:
        other = re.sub("[.,]", "", figure)
    return pair.output[: match.start()] + other + pair.output[match.end() :]


def append_loop(pair: Pair, draw: random.Random) -> str | None:
    """Repeats the last one to eight words four to ten times."""
    words = pair.output.rstrip(".!?").split()
    tail = words[-draw.randint(1, min(8, len(words))) :]
    return " ".join(words + tail * draw.randint(4, 10))


def append_characters(pair: Pair, draw: random.Random) -> str | None:
    """Repeats the last one to four letters eight to twenty times, as one word."""
    letters = re.findall(r"[^\W\d_]", pair.output)[-draw.randint(1, 4) :]
    return pair.output.rstrip(".!?") + "".join(letters) * draw.randint(8, 20) if letters else None


def drop_half(pair: Pair, draw: random.Random) -> str | None:
    """Removes the first or the second half of the words."""
    words = pair.output.split()
    if len(words) < _MIN_WORDS:
        return None
    half = len(words) // 2
    return " ".join(words[:half] if draw.random() < 0.5 else words[-half:])


def leave_source(pair: Pair, draw: random.Random) -> str | None:  # noqa: ARG001
    """Returns the source instead of the translation."""
    return pair.source if len(pair.source.split()) > 3 else None


def _replace_figure(pair: Pair, draw: random.Random, change: Callable[[str], str]) -> str | None:
    figures = list(_FIGURE.finditer(pair.output))
    if not figures:
        return None
    match = draw.choice(figures)
    return pair.output[: match.start()] + change(match.group()) + pair.output[match.end() :]


DAMAGE: tuple[tuple[str, Damage, frozenset[Flag]], ...] = (
    ("a digit changed", change_digit, frozenset({Flag.NUMBER_MISMATCH})),
    ("a number dropped", drop_number, frozenset({Flag.NUMBER_MISMATCH})),
    ("a number doubled", double_number, frozenset({Flag.NUMBER_MISMATCH})),
    ("decimal marks wrong", swap_marks, frozenset({Flag.NUMBER_MISMATCH})),
    ("a loop of words", append_loop, frozenset({Flag.REPETITION})),
    ("a loop of letters", append_characters, frozenset({Flag.REPETITION})),
    ("half dropped", drop_half, frozenset({Flag.LENGTH_RATIO})),
    ("left untranslated", leave_source, frozenset({Flag.COPIED_SOURCE})),
)


def read_pairs(*, held_out: bool) -> list[Pair]:
    """Returns the sentences of both directions with their translations by the models."""
    pairs: list[Pair] = []
    for language, target in (("en", "pt"), ("pt", "en")):
        sentences = read_sentences(language, SENTENCES, held_out=held_out)
        translations = translate_sentences(language, sentences)
        pairs += [
            Pair(source, output, language, target) for source, output in zip(sentences, translations, strict=True)
        ]
    return pairs


def count_alarms(pairs: Sequence[Pair], console: Console, *, show: bool) -> Table:
    """Counts the flags on undamaged translations, and those that a reader judged untrue."""
    verdicts: dict[str, dict[str, bool]] = (
        tomllib.loads(VERDICTS.read_text(encoding="utf-8")) if VERDICTS.is_file() else {}
    )
    raised: Counter[Flag] = Counter()
    untrue: Counter[Flag] = Counter()
    alarmed = 0
    for pair in pairs:
        false = [flag for flag in pair.check() if not verdicts.get(flag.name, {}).get(pair.source, False)]
        raised.update(pair.check())
        untrue.update(false)
        alarmed += bool(false)
        for flag in pair.check() if show else ():
            verdict = "false" if flag in false else "true"
            console.print(f"{flag.name} ({verdict}) {escape(pair.source)}\n  => {escape(pair.output)}")
    table = Table("flag", "raised", "untrue", "share untrue", title=f"{len(pairs):,} undamaged translations", box=None)
    for flag in _FLAGS:
        table.add_row(flag.name, str(raised[flag]), str(untrue[flag]), f"{untrue[flag] / len(pairs):.2%}")
    table.add_row("sentences with any", "", str(alarmed), f"{alarmed / len(pairs):.2%}")
    return table


def count_catches(pairs: Sequence[Pair], console: Console, *, show: bool) -> Table:
    """Counts the flagged translations by kind of damage. Translations with flags before the damage are left out."""
    table = Table("damage", "made", "caught", "share", "by any flag", title="damage made on purpose", box=None)
    draw = random.Random(3)
    sound = [pair for pair in pairs if not pair.check()]
    for name, damage, wanted in DAMAGE:
        made = caught = noticed = 0
        # Few sentences have numbers, so each of them is damaged several times.
        for pair in sound * (3 if Flag.NUMBER_MISMATCH in wanted else 1):
            output = damage(pair, draw)
            if output is None or output == pair.output:
                continue
            flags = pair.check(output)
            made += 1
            caught += bool(wanted & set(flags))
            noticed += bool(flags)
            if show and not wanted & set(flags):
                console.print(f"missed, {name}: {escape(pair.source)}\n  => {escape(output)}")
        table.add_row(name, str(made), str(caught), f"{caught / max(made, 1):.1%}", f"{noticed / max(made, 1):.1%}")
    return table


def time_checks(pairs: Sequence[Pair]) -> Table:
    """Measures the CPU time of all checks for segments of about 25 words."""
    table = Table("segments of 23 to 27 words", "number", "microseconds of CPU each", title="cost", box=None)
    usual = [pair for pair in pairs if 23 <= len(pair.source.split()) <= 27]
    for name, chosen in (("all", usual), ("with figures", [pair for pair in usual if _FIGURE.search(pair.source)])):
        spent = []
        for _ in range(7):
            started = time.process_time()
            for pair in chosen:
                pair.check()
            spent.append(time.process_time() - started)
        table.add_row(name, str(len(chosen)), f"{min(spent) / max(len(chosen), 1) * 1e6:.0f}")
    return table


def main(arguments: Sequence[str]) -> int:
    """Prints the tables."""
    console = Console(width=140)
    show = "--show" in arguments
    pairs = read_pairs(held_out="--tuning" not in arguments)
    tables = [count_alarms(pairs, console, show=show), count_catches(pairs, console, show=show), time_checks(pairs)]
    for table in tables:
        console.print(table)
        console.print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
