"""From an answer to an outcome: what the invariants say, and whether the server said it too."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.cases import Case
from benchmarks.quality.fidelity.invariants import ALWAYS, INVARIANTS

_REPAIRS = frozenset({"REPETITION_REPAIRED", "MARKUP_REPAIRED"})


class Outcome(Enum):
    """What became of a case."""

    SURVIVED = "survived"
    REPAIRED = "repaired"  # unhurt, or only as the note of a repair says
    FLAGGED = "flagged"  # hurt, and a warning names the damage
    SILENT = "silent"  # hurt, and nothing says so
    REFUSED = "refused"  # the server does not serve what the case asks for


@dataclass(frozen=True)
class Damage:
    """An invariant that does not hold. `named`: a flag of the answer says so."""

    invariant: str
    detail: str
    named: bool
    strict: bool


@dataclass(frozen=True)
class Verdict:
    """A case, its answer and what is wrong with it."""

    case: Case
    answer: Answer
    outcome: Outcome
    damages: tuple[Damage, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing was hurt in silence."""
        return self.outcome not in (Outcome.SILENT, Outcome.REFUSED)

    @property
    def strictly_silent(self) -> bool:
        """Whether a placeholder, a URL, a tag or a number was hurt in silence."""
        return any(damage.strict and not damage.named for damage in self.damages)


def judge(case: Case, answer: Answer) -> Verdict:
    """Holds an answer against the invariants of its case."""
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
