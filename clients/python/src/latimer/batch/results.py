"""The types that the modules of a batch share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from latimer.files.document import TextForm


class UnitResult(NamedTuple):
    """The result of one unit.

    `text`: the translation or summary; None if the unit failed. `flags`: names of its warnings without the prefix
    `FLAG_`, without notes. `score`: the mean natural log-probability of the output tokens; 0 if no model ran. `error`:
    the reason of a failure; "" if there is none.
    """

    text: str | None
    flags: tuple[str, ...] = ()
    score: float = 0.0
    error: str = ""


class Reading(NamedTuple):
    """How the server reads the texts of a group: their markup, and the syntaxes of their placeholders."""

    form: TextForm
    syntaxes: tuple[str, ...] = ()


class SentUnit(NamedTuple):
    """A text on its way to a server. `ticket`: the number that its result carries. `tries`: how often its call
    ended without a result for it, or with an error that may pass."""

    ticket: int
    text: str
    tries: int = 0


class BatchError(Exception):
    """A batch cannot begin or go on. `str()` names the file and the cure."""


class JournalError(BatchError):
    """A journal belongs to another job or version, or another process writes it."""


class OutputError(BatchError):
    """An output cannot be written. `path`: the file. `is_refusal`: True if the batch must not begin, because the output
    exists, is an input, or cannot be made."""

    def __init__(self, path: Path | str, reason: str, cure: str = "", *, is_refusal: bool = False) -> None:
        super().__init__(f"{path}: {reason}; {cure}" if cure else f"{path}: {reason}")
        self.path = path
        self.is_refusal = is_refusal
