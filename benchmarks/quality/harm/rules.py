"""Names the rule of the pipeline that makes the whole path differ from the bare engine.

Rules are switched off one after another, without anything in the server that is only for this report. Two rules have
options in the contract. The others have no switch, so the sentence is written in a way that leaves them nothing to do:
straight quotation marks instead of typographic ones, small letters instead of capitals, and so on. The changes add up.
A rule is named if both ways agree for the first time after it was switched off. So a sentence that needs several
rules is counted for the last of them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.quality.fidelity.answers import Answer

REPETITION = "repetition repair"
OTHER = "other"
_FIGURE = re.compile(r"\d(?:[\d.,\u00a0\u202f]*\d)?")
_PLACEHOLDER = re.compile(r"%\(?\w*\)?[a-z]|[{<\[]+[^\s{}<>\[\]]*[}>\]]+")
_SYMBOL = re.compile(r"[^\w\s.,;:!?'\"()%-]|_")


class Ways(Protocol):
    """Both ways to translate (`engines.Engines`)."""

    def run_whole(self, texts: Sequence[str], options: Mapping[str, Any] | None = None) -> Awaitable[list[Answer]]:
        """Returns the answers of the whole path."""

    def run_bare(self, texts: Sequence[str]) -> Awaitable[list[str]]:
        """Returns the outputs of the bare engine."""


@dataclass(frozen=True)
class Step:
    """A rule and how it is switched off: by options of the contract, or by another spelling of the text."""

    rule: str
    options: Mapping[str, Any] = field(default_factory=dict)
    respell: Callable[[str], str] = str


def _replace(characters: str, replacement: str) -> Callable[[str], str]:
    return lambda text: re.sub(f"[{characters}]", replacement, text)


def _lower_all(text: str) -> str:
    return text[:1] + text[1:].lower()


STEPS = (
    Step("protection", {"disable_builtin_protection": True}),
    Step("segmentation", {"sentence_splitting": "OFF"}),
    Step("apostrophes", respell=lambda text: re.sub(r"(?<=\w)’(?=\w|\s)", "'", text)),
    Step("quotation marks", respell=lambda text: _replace("‘’‚", "'")(_replace("“”„«»", '"')(text))),
    Step(
        "dashes", respell=lambda text: re.sub(r"(?<=\w)[—](?=\w)", " - ", _replace("–‑", "-")(text)).replace("—", "-")
    ),
    Step("ellipses and spaces", respell=lambda text: " ".join(text.replace("…", "...").split())),
    Step("casing", respell=_lower_all),
    Step("figures", respell=lambda text: _FIGURE.sub("7", text)),
    Step("placeholders and tags", respell=lambda text: " ".join(_PLACEHOLDER.sub(" ", text).split())),
    Step("symbols", respell=lambda text: " ".join(_SYMBOL.sub(" ", text).split())),
)
RULES = (REPETITION, *(step.rule for step in STEPS), OTHER)


async def find_rules(ways: Ways, texts: Sequence[str], whole: Sequence[Answer], bare: Sequence[str]) -> dict[int, str]:
    """Returns the rule for the index of each text whose two outputs differ."""
    rules = {
        index: REPETITION if "REPETITION_REPAIRED" in answer.flags else OTHER
        for index, (answer, output) in enumerate(zip(whole, bare, strict=True))
        if answer.text != output
    }
    spelled = {index: texts[index] for index, rule in rules.items() if rule == OTHER}
    outputs = {index: bare[index] for index in spelled}
    options: dict[str, Any] = {}
    for step in STEPS:
        options |= step.options
        written = {index: step.respell(text) for index, text in spelled.items()}
        changed = [index for index, text in written.items() if text != spelled[index] and text]
        outputs |= dict(zip(changed, await ways.run_bare([written[index] for index in changed]), strict=True))
        spelled |= {index: written[index] for index in changed}
        tried = list(spelled) if step.options else changed
        answers = await ways.run_whole([spelled[index] for index in tried], options)
        for index, answer in zip(tried, answers, strict=True):
            if answer.text == outputs[index]:
                rules[index] = step.rule
                del spelled[index]
    return rules
