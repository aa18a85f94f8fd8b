"""Warnings and notes are those of the contract."""

from __future__ import annotations

import re
from pathlib import Path

from latimer.batch.flags import NOTES, explain_flag, select_warnings

_CONTRACT = Path(__file__).parents[3] / "protos" / "latimer" / "v1" / "types.proto"


def read_kinds() -> dict[str, str]:
    """Returns the first word of the comment of each flag by its name."""
    enum = _CONTRACT.read_text().partition("enum Flag {")[2].partition("\n}")[0]
    found = re.findall(r"((?:  //.*\n)+)  FLAG_(\w+) = \d+;", enum)
    return {name: comment.strip().removeprefix("// ").partition(":")[0] for comment, name in found}


def test_notes_are_the_flags_that_the_contract_calls_notes() -> None:
    kinds = read_kinds()
    assert {name for name, kind in kinds.items() if kind == "Note"} == NOTES
    assert set(kinds.values()) == {"Note", "Warning", "Never raised. In a request it is INVALID_ARGUMENT."}


def test_every_warning_has_a_meaning_in_words() -> None:
    assert [name for name, kind in read_kinds().items() if kind == "Warning" and not explain_flag(name)] == []


def test_a_flag_of_a_newer_server_is_a_warning() -> None:
    assert select_warnings(["CACHED", "NUMBER_MISMATCH", "77"]) == ("NUMBER_MISMATCH", "77")
