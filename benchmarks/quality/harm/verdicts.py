"""Verdicts of a reader on sentences for which the whole path and the bare engine differ.

`verdicts.toml` has a table `verdicts` from the key of a sentence to `better`, `same` or `worse` (the whole path beside
the bare engine). The key is a digest of the source and both outputs, so a verdict stops counting when an
output changes.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

FILE = Path(__file__).parent / "verdicts.toml"
# The number of sentences that are drawn for reading.
DRAWN = 300
_SEED = "harm 1"
_KEY_LENGTH = 16


class BadVerdict(Exception):
    """Raised for a verdict that is none of `Judgement`."""


class Judgement(Enum):
    """The whole path's output beside the bare engine's, as a reader who knows the source judges it."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"


@dataclass(frozen=True)
class Difference:
    """A sentence with its two outputs, and the rule that makes them differ. `languages`: of source and target."""

    languages: tuple[str, str]
    source: str
    whole: str
    bare: str
    rule: str
    kind: str
    origin: str
    flags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of the source and both outputs, in hexadecimal."""
        text = "\0".join((self.source, self.whole, self.bare))
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH]


def draw_differences(differences: Sequence[Difference], count: int = DRAWN) -> list[Difference]:
    """Returns `count` differences at random. The order depends on the sources alone, so that another output of a
    sentence changes the draw little."""
    return sorted(differences, key=_place)[:count]


def read_verdicts(path: Path = FILE) -> dict[str, Judgement]:
    """Returns the verdicts by key. Raises BadVerdict."""
    verdicts = tomllib.loads(path.read_text("utf-8")).get("verdicts", {}) if path.is_file() else {}
    values = {judgement.value for judgement in Judgement}
    for key, value in verdicts.items():
        if value not in values:
            raise BadVerdict(f"{key}: {value!r} is not one of {', '.join(sorted(values))}")
    return {key: Judgement(value) for key, value in verdicts.items()}


def find_undecided(drawn: Sequence[Difference], verdicts: Mapping[str, Judgement]) -> list[Difference]:
    """Returns the drawn differences without a verdict."""
    return [difference for difference in drawn if difference.key not in verdicts]


def count_stale(drawn: Sequence[Difference], verdicts: Mapping[str, Judgement]) -> int:
    """Returns the number of verdicts on outputs that are not among the drawn differences."""
    return len(verdicts.keys() - {difference.key for difference in drawn})


def _place(difference: Difference) -> bytes:
    return hashlib.sha256(f"{_SEED}\n{difference.languages}\n{difference.source}".encode()).digest()
