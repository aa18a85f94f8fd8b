"""Compares the warnings of the server with the verdicts of a reader on ordinary sentences.

`python -m benchmarks.quality.judged` draws sentences of the harm corpus at random, translates them by a real server,
and writes `report.md` beside itself: how many right translations have a warning, and how many wrong ones. The file
`verdicts.toml` holds a verdict for each translation, by a digest of source and output: `right`, or `wrong` if the
meaning of the source is changed, lost or not to be understood. Translations without a verdict are printed for reading.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.quality.fidelity.service import Service, serve
from benchmarks.quality.harm.sentences import read_sentences
from benchmarks.students import NAMES
from latimer_server.core.flags import Flag

HERE = Path(__file__).parent
_SEED = 19
_DRAWN = 300
_TEXTS_PER_CALL = 25
_WARNINGS = frozenset(flag.name for flag in Flag if flag.is_warning)


@dataclass(frozen=True)
class Translation:
    """A sentence, its translation and the names of its warnings."""

    direction: str
    source: str
    output: str
    warnings: tuple[str, ...]

    @property
    def key(self) -> str:
        """A digest of both texts."""
        return hashlib.sha256(f"{self.source}\0{self.output}".encode()).hexdigest()[:16]


async def translate(service: Service, languages: tuple[str, str], texts: Sequence[str]) -> list[Translation]:
    """Returns the server's translations of the texts."""
    answers = []
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        answers += await service.translate(texts[start : start + _TEXTS_PER_CALL], *languages, {"disable_cache": True})
    return [
        Translation("-".join(languages), text, answer.text, tuple(sorted(answer.flags & _WARNINGS)))
        for text, answer in zip(texts, answers, strict=True)
    ]


async def measure() -> list[Translation]:
    """Translates the drawn sentences of both directions with one server."""
    sentences = await asyncio.to_thread(read_sentences)
    async with serve() as service:
        found = []
        for languages in NAMES:
            texts = sorted({sentence.text for sentence in sentences[languages] if "\n" not in sentence.text})
            found += await translate(service, languages, random.Random(_SEED).sample(texts, _DRAWN))
        return found


def describe(translations: Sequence[Translation], verdicts: Mapping[str, str]) -> list[str]:
    """Returns the lines of the report."""
    lines = [
        "# Warnings on ordinary sentences",
        "",
        "Written by `python -m benchmarks.quality.judged`.",
        "",
        "| direction | right | of them with a warning | wrong | of them with a warning | no verdict |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for direction in dict.fromkeys(one.direction for one in translations):
        rows = [one for one in translations if one.direction == direction]
        count = Counter((verdicts.get(one.key, ""), bool(one.warnings)) for one in rows)
        right, wrong = (count[verdict, True] + count[verdict, False] for verdict in ("right", "wrong"))
        missing = len(rows) - right - wrong
        lines.append(
            f"| {direction} | {right} | {count['right', True]} | {wrong} | {count['wrong', True]} | {missing} |"
        )
    for verdict in ("right", "wrong"):
        lines += ["", f"## {verdict.capitalize()}, with a warning" if verdict == "right" else "## Wrong", ""]
        for one in translations:
            if verdicts.get(one.key) == verdict and (verdict == "wrong" or one.warnings):
                lines += [f"- {one.direction} ({', '.join(one.warnings) or 'no warning'})"]
                lines += [f"  - ``{text}``" for text in (one.source, one.output)]
    return lines


def main() -> None:
    """Writes the report, and prints the table and the translations without a verdict."""
    translations = asyncio.run(measure())
    verdicts = tomllib.loads((HERE / "verdicts.toml").read_text("utf-8"))["verdicts"]
    lines = describe(translations, verdicts)
    (HERE / "report.md").write_text("\n".join(lines) + "\n", "utf-8")
    console = Console()
    for one in translations:
        if one.key not in verdicts:
            text = f"{one.key} {' '.join(one.warnings)}\n  {one.source}\n  {one.output}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    for line in lines[:9]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
