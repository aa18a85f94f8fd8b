"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SourceOption = Annotated[
    str | None,
    typer.Option("--from", "-s", "--source", help="Language of the text, such as en. Default: detected."),
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", "-f", help="Format of the files. Default: by the ending of their names."),
]
EncodingOption = Annotated[
    str | None, typer.Option(help="Encoding of the files. Default: detected.", rich_help_panel="Reading")
]
PathOption = Annotated[
    list[str] | None,
    typer.Option(
        "--path",
        help="Path of the texts in JSON and YAML, such as items[*].title; may be repeated. Default: all texts.",
        rich_help_panel="Reading",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="Name or number of a CSV column with text; may be repeated. Default: all columns.",
        rich_help_panel="Reading",
    ),
]
NoHeaderOption = Annotated[
    bool,
    typer.Option(
        "--no-header",
        help="The first row of CSV and TSV files has texts, not names of columns.",
        rich_help_panel="Reading",
    ),
]
ModelOption = Annotated[str | None, typer.Option("--model", "-m", help="Name of the model. Default: by the languages.")]
GlossaryOption = Annotated[
    Path | None, typer.Option("--glossary", help="File of terms and their translations: CSV, TSV or TBX.")
]
ProtectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--protect",
        help="Phrase that stays as it is; /.../ is a pattern, @FILE has one on each line. May be repeated.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no warnings and no progress.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 if there are warnings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, with all fields.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with a batch that was stopped.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace outputs that exist.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File or folder of the output. Default: standard output.")
]
TextsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TEXT|FILE...]", help="A text, or files. Without one, or with -, standard input is read."),
]
MemoryOption = Annotated[
    Path | None,
    typer.Option("--memory", help="Translation memory, an SQLite file. Made if it does not exist."),
]
