"""The translation memory: what did not change is found, and a person's translation wins."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from latimer.batch.memory import Entry, TranslationMemory
from latimer.batch.results import BatchError, UnitResult
from tests.command_line import lines, run_command
from tests.unit.batch.fakes import unit

RESULT = UnitResult("a máquina", ("COPIED_SOURCE",), -0.25)


def correction(source: str, target: str, context: str = "", source_language: str = "en") -> Entry:
    return Entry(source, target, context, source_language, "pt", by_person=True, changed=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.sqlite"


def open_memory(
    path: Path, options: str = "model a", source: str | None = "en", target: str = "pt"
) -> TranslationMemory:
    return TranslationMemory(path, target=target, source=source, options=options)


def test_a_result_is_found_by_the_next_batch_with_the_same_options(path: Path) -> None:
    with open_memory(path) as memory:
        memory.add(unit("the machine"), RESULT)
        memory.add(unit("failed"), UnitResult(None, error="why"))
    with open_memory(path) as memory:
        assert memory.find([unit("the machine"), unit("failed"), unit("other")]) == [(RESULT, False), None, None]
        assert memory.find([unit("the machine", "another context")]) == [None]
    for other in (open_memory(path, "model b"), open_memory(path, source="de"), open_memory(path, target="es")):
        with other:
            assert other.find([unit("the machine")]) == [None]


def test_a_translation_by_a_person_wins_whatever_the_options_are(path: Path) -> None:
    with open_memory(path) as memory:
        memory.add(unit("the machine"), RESULT)
        memory.save()
        assert memory.correct([correction("the machine", "o engenho")]) == (1, 0)
        assert memory.find([unit("the machine"), unit("the machine", "menu")]) == [
            (UnitResult("o engenho"), True),
            (UnitResult("o engenho"), True),
        ]
        memory.add(unit("the machine"), UnitResult("outra"))
    with open_memory(path, "model b", source=None) as memory:
        assert memory.find([unit("the machine")]) == [(UnitResult("o engenho"), True)]
    with open_memory(path, source="de") as memory:
        assert memory.find([unit("the machine")]) == [None]


def test_a_correction_with_a_context_holds_for_that_context_only(path: Path) -> None:
    with open_memory(path) as memory:
        memory.correct([correction("Open", "Abrir", "verb"), correction("Open", "Aberto")])
        found = memory.find([unit("Open", "verb"), unit("Open", "state")])
        assert [each[0].text for each in found if each] == ["Abrir", "Aberto"]


def test_a_file_of_another_program_is_refused(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to look like a file" * 100)
    with pytest.raises(BatchError, match="no translation memory"):
        TranslationMemory(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(BatchError, match="no translation memory"):
        TranslationMemory(path)


def test_many_units_are_looked_up_at_once(path: Path) -> None:
    units = [unit(f"line {number}") for number in range(5_000)]
    with open_memory(path) as memory:
        for each in units:
            memory.add(each, UnitResult(each.text.upper()))
        memory.save()
        assert [found[0].text for found in memory.find(units) if found] == [each.text.upper() for each in units]
        assert len(memory) == 5_000


def test_an_exported_file_that_a_person_corrected_comes_back_as_corrections(path: Path, tmp_path: Path) -> None:
    with open_memory(path) as memory:
        memory.add(unit("one"), UnitResult("um"))
        memory.add(unit("two & <b>three</b>", "menu"), UnitResult("dois & <b>três</b>"))
    file = tmp_path / "memory.tmx"
    pair = ("--memory", str(path), "--from", "en", "--to", "pt")
    exported = run_command("memory", "export", str(file), *pair)
    assert (exported.returncode, lines(exported)) == (0, [f"latimer: 2 translations written to {file}"])
    assert run_command("memory", "export", str(file), *pair).returncode == 2
    file.write_text(file.read_text().replace("três", "3"))
    imported = run_command("memory", "import", str(file), *pair)
    assert lines(imported) == ["latimer: 1 translations by people stored, 1 are in the memory already"]
    with open_memory(path, "another model") as memory:
        assert memory.find([unit("two & <b>three</b>", "menu"), unit("one")]) == [
            (UnitResult("dois & <b>3</b>"), True),
            None,
        ]
    assert run_command("memory", "show", "--memory", str(path)).stdout == b"en pt 3 1\n"
