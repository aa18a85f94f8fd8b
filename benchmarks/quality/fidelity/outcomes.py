"""Judges an answer: which invariants are broken, and whether a flag of the server reports it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.cases import Case
from benchmarks.quality.fidelity.invariants import ALWAYS, INVARIANTS

_REPAIRS = frozenset({"REPETITION_REPAIRED", "MARKUP_REPAIRED"})


class Outcome(Enum):
    """The result of a case."""

    SURVIVED = "survived"
    REPAIRED = "repaired"  # undamaged apart from a repair that the server reports
    FLAGGED = "flagged"  # damaged, and a flag reports the damage
    SILENT = "silent"  # damaged, and no flag reports the damage
    REFUSED = "refused"  # the server does not implement the request of the case


@dataclass(frozen=True)
class Damage:
    """A broken invariant. `named`: a flag of the answer reports it."""

    invariant: str
    detail: str
    named: bool
    strict: bool


@dataclass(frozen=True)
class Verdict:
    """A case, its answer, its outcome and its damage."""

    case: Case
    answer: Answer
    outcome: Outcome
    damages: tuple[Damage, ...] = ()

    @property
    def holds(self) -> bool:
        """True if no damage is silent and the case was not refused."""
        return self.outcome not in (Outcome.SILENT, Outcome.REFUSED)

    @property
    def strictly_silent(self) -> bool:
        """True if a strict invariant (placeholders, URLs, tags, numbers) was broken without a flag."""
        return any(damage.strict and not damage.named for damage in self.damages)


def judge(case: Case, answer: Answer) -> Verdict:
    """Checks an answer against the invariants of its case."""
    if "UNIMPLEMENTED" in answer.error.split() and case.checks.get("error") != "UNIMPLEMENTED":
        return Verdict(case, answer, Outcome.REFUSED)
    damages: list[Damage] = []
    checks = {name: (INVARIANTS[name], value) for name, value in case.checks.items()}
    if not answer.error:
        checks |= {name: (invariant, True) for name, invariant in ALWAYS.items()}
    elif "error" not in case.checks:
        damages.append(Damage("an answer", answer.error, named=False, strict=False))
        checks = {}
    for name, (invariant, value) in checks.items():
        named = bool((invariant.named_by | case.named_by) & answer.flags)
        damages += [Damage(name, detail, named, invariant.strict) for detail in invariant.check(value, case, answer)]
    return Verdict(case, answer, _decide(damages, answer), tuple(damages))


def _decide(damages: list[Damage], answer: Answer) -> Outcome:
    if any(not damage.named for damage in damages):
        return Outcome.SILENT
    if not damages or all(damage.invariant == "wraps" for damage in damages):
        return Outcome.REPAIRED if answer.flags & _REPAIRS else Outcome.SURVIVED
    return Outcome.FLAGGED
