"""The commands `latimer memory import`, `export` and `show`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

import latimer
from latimer.batch.memory import Entry, TranslationMemory
from latimer.batch.output import open_output
from latimer.batch.results import BatchError, OutputError
from latimer.batch.run_paths import RunPath, check_paths, list_database_paths
from latimer.cli import options
from latimer.cli.messages import explain_errors, say
from latimer.cli.texts import write

app = typer.Typer(
    help="Bring translations by people into a translation memory, and take translations out, as TMX files.",
    no_args_is_help=True,
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE.tmx", help="TMX file.")]
MemoryOption = Annotated[Path, typer.Option("--memory", help="Translation memory, an SQLite file.")]
FromOption = Annotated[str, typer.Option("--from", "-s", "--source", help="Language of the texts, such as en.")]
ToOption = Annotated[str, typer.Option("--to", "-t", "--target", help="Language of the translations, such as pt.")]

_TMX_TIME = "%Y%m%dT%H%M%SZ"
_HEAD = 4_096


@app.command("import")
def import_file(file: FileArgument, memory: MemoryOption, source: FromOption, to: ToOption) -> None:
    """Store the translations of a TMX file as those of a person.

    They win over results of servers, whatever the model and the options. One that equals what the memory has is no
    correction, so a file of latimer memory export can be corrected and imported as a whole.
    """
    with explain_errors():
        has_contexts = _has_contexts(file)
        with TranslationMemory(memory) as opened:
            corrections, equal = opened.correct(_read(file, source, to, has_contexts=has_contexts))
    say(f"{corrections:,} translations by people stored, {equal:,} are in the memory already")


@app.command("export")
def export_file(
    file: FileArgument, memory: MemoryOption, source: FromOption, to: ToOption, force: options.ForceOption = False
) -> None:
    """Write the translations of a language pair into a TMX file."""
    # Imported late, here and below, because no other command needs it and its library takes time.
    from latimer.files.bilingual.tmx_units import TranslationUnit, write_translation_units

    with explain_errors():
        if file.exists() and not force:
            raise OutputError(file, "exists already", "--force replaces it", is_refusal=True)
        check_paths([*list_database_paths("--memory", memory), RunPath("FILE.tmx", file, is_written=True)])
        count = 0

        def convert(entries: Iterator[Entry]) -> Iterator[TranslationUnit]:
            nonlocal count
            for entry in entries:
                if entry.source_language in ("", source.lower()):
                    count += 1
                    changed = datetime.fromtimestamp(entry.changed, timezone.utc).strftime(_TMX_TIME)
                    yield TranslationUnit(
                        source=entry.source, target=entry.target, changed=changed, context=entry.context
                    )

        with _open(memory) as opened, open_output(file) as target:
            write_translation_units(target, convert(opened.entries(to)), source, to, version=latimer.__version__)
    say(f"{count:,} translations written to {file}")


@app.command("show")
def show(memory: MemoryOption) -> None:
    """Print the number of translations of each language pair, and how many are by people."""
    with explain_errors(), _open(memory) as opened:
        for source, target, count, by_people in opened.count_pairs():
            write(f"{source or 'detected'} {target} {count} {by_people}\n")


def _open(path: Path) -> TranslationMemory:
    """Opens a memory that exists. Raises `BatchError`."""
    if not path.exists():
        raise BatchError(f"there is no memory {path}; latimer batch translate --memory makes one")
    return TranslationMemory(path)


def _has_contexts(file: Path) -> bool:
    """Returns True for a TMX file of latimer, which has contexts as the ids of its units; those of other programs are
    of no use to find a text again. Raises `BatchError` if the file cannot be read."""
    try:
        with file.open("rb") as opened:
            return b'creationtool="latimer"' in opened.read(_HEAD)
    except OSError as error:
        raise BatchError(f"{file} cannot be read: {error.strerror}") from error


def _read(file: Path, source: str, target: str, *, has_contexts: bool) -> Iterator[Entry]:
    """Yields the units of a TMX file."""
    from latimer.files.bilingual.tmx_units import read_translation_units

    now = int(time.time())
    for unit in read_translation_units(file, source, target):
        context = unit.context if has_contexts else ""
        yield Entry(unit.source, unit.target, context, source, target, True, _read_time(unit.changed) or now)  # noqa: FBT003


def _read_time(text: str) -> int | None:
    try:
        return int(datetime.strptime(text, _TMX_TIME).replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return None
