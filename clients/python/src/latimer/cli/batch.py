"""The commands `latimer batch translate` and `latimer batch summarize`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from latimer.batch.glossary import list_protected_files, read_glossary, read_protected
from latimer.batch.results import BatchError
from latimer.batch.run_paths import RunPath
from latimer.cli import options
from latimer.cli.batch_run import BatchRequest, run_batch
from latimer.cli.connection import (
    AddressOption,
    CaOption,
    ProfileOption,
    TlsOption,
    TokenOption,
    connect,
)
from latimer.cli.messages import explain_errors, stop_on_signals
from latimer.files import FileError, ReadOptions

app = typer.Typer(
    help="Translate or summarize many texts: files, folders, patterns and pipes. --resume goes on after a stop.",
    no_args_is_help=True,
)

InputsArgument = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Files, folders, patterns, or - for standard input.")
]
OutOption = Annotated[str, typer.Option("--out", "-o", help="File or folder of the output, or - for standard output.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only count files, units and words, and estimate the time.")
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", help="File for a report, .json or .html, with the worst examples.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Calls in flight to each server.")]


@app.command()
def translate(
    inputs: InputsArgument,
    out: OutOption,
    to: Annotated[str | None, typer.Option("--to", "-t", "--target", help="Target language, such as pt.")] = None,
    source: options.SourceOption = None,
    format_name: options.FormatOption = None,
    model: options.ModelOption = None,
    memory: options.MemoryOption = None,
    glossary: options.GlossaryOption = None,
    protect: options.ProtectOption = None,
    resume: options.ResumeOption = False,
    force: options.ForceOption = False,
    dry_run: DryRunOption = False,
    report: ReportOption = None,
    quiet: options.QuietOption = False,
    strict: options.StrictOption = False,
    jobs: JobsOption = 1,
    encoding: options.EncodingOption = None,
    path: options.PathOption = None,
    column: options.ColumnOption = None,
    no_header: options.NoHeaderOption = False,
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    profile: ProfileOption = None,
) -> None:
    """Translate files. Whatever is not text stays as it is.

    The output appears when it is whole. If the batch is stopped, even by a power cut, the same command with --resume
    goes on. Exit status: 0 all is good, 1 some units failed, 2 usage, 3 the server, 130 stopped.
    """
    stop_on_signals()
    connection = None
    with explain_errors():
        connection = connect(address, token, ca, None, profile, tls=tls)
    with explain_errors(connection):
        target = to or connection.target
        if target is None:
            raise BatchError("no target language; give one with --to, such as --to pt")
        source = source or connection.source
        request = BatchRequest(
            task="translate",
            names=inputs,
            out=out,
            connection=connection,
            read=ReadOptions(
                target_language=target,
                source_language=source,
                encoding=encoding,
                paths=tuple(path or ()),
                columns=tuple(column or ()),
                header=not no_header,
            ),
            format_name=format_name,
            options=read_translate_options(model, glossary, protect or (), source, target),
            option_files=list_option_files(glossary, protect or ()),
            memory=memory,
            jobs=jobs,
            resumes=resume,
            overwrites=force,
            is_dry_run=dry_run,
            report=report,
            is_quiet=quiet,
            is_strict=strict,
        )
        status = run_batch(request)
    raise typer.Exit(status)


@app.command()
def summarize(
    inputs: InputsArgument,
    out: OutOption,
    sentences: Annotated[int | None, typer.Option("--sentences", "-n", min=1, help="Number of sentences.")] = None,
    length: Annotated[str | None, typer.Option(help="Instead of a number: short, medium or long.")] = None,
    mode: Annotated[str | None, typer.Option(help="extractive, abstractive or hybrid. Default: the server's.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", "-t", "--target", help="Language of the summaries. Default: of the text.")
    ] = None,
    source: options.SourceOption = None,
    format_name: options.FormatOption = None,
    model: options.ModelOption = None,
    each_unit: Annotated[
        bool,
        typer.Option("--each-unit", help="Summarize each line, cell or value by itself, and write it into its place."),
    ] = False,
    memory: options.MemoryOption = None,
    resume: options.ResumeOption = False,
    force: options.ForceOption = False,
    dry_run: DryRunOption = False,
    report: ReportOption = None,
    quiet: options.QuietOption = False,
    strict: options.StrictOption = False,
    jobs: JobsOption = 2,
    encoding: options.EncodingOption = None,
    path: options.PathOption = None,
    column: options.ColumnOption = None,
    no_header: options.NoHeaderOption = False,
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    profile: ProfileOption = None,
) -> None:
    """Summarize files: one summary for each, as plain text.

    In a folder, the summary of report.docx is report.docx.summary.txt. Exit statuses are those of batch translate.
    """
    stop_on_signals()
    with explain_errors():
        connection = connect(address, token, ca, None, profile, tls=tls)
    with explain_errors(connection):
        request = BatchRequest(
            task="summarize",
            names=inputs,
            out=out,
            connection=connection,
            read=ReadOptions(
                target_language=to or source or "",
                source_language=source,
                encoding=encoding,
                paths=tuple(path or ()),
                columns=tuple(column or ()),
                header=not no_header,
            ),
            format_name=format_name,
            options=drop_empty(sentences=sentences, length=length, mode=mode, target=to, source=source, model=model),
            memory=memory,
            jobs=jobs,
            resumes=resume,
            overwrites=force,
            is_dry_run=dry_run,
            report=report,
            is_quiet=quiet,
            is_strict=strict,
            each_unit=each_unit,
            suffix="" if each_unit else ".summary.txt",
        )
        status = run_batch(request)
    raise typer.Exit(status)


def read_translate_options(
    model: str | None, glossary: Path | None, protect: Sequence[str], source: str | None, target: str
) -> dict[str, Any]:
    """Returns the options of the contract. Raises `BatchError`."""
    try:
        phrases, patterns = read_protected(protect)
        terms = read_glossary(glossary, source, target) if glossary else []
    except FileError as error:
        raise BatchError(str(error)) from error
    return drop_empty(
        model=model, phrases=phrases, patterns=patterns, glossary_terms=[term.to_option() for term in terms]
    )


def list_option_files(glossary: Path | None, protect: Sequence[str]) -> list[RunPath]:
    """Returns the files that `read_translate_options` reads."""
    files = [RunPath("--glossary", glossary, is_written=False)] if glossary is not None else []
    return files + [RunPath("--protect", path, is_written=False) for path in list_protected_files(protect)]


def drop_empty(**values: Any) -> dict[str, Any]:  # noqa: ANN401 (values of options)
    """Returns the options that were given."""
    return {name: value for name, value in values.items() if value not in (None, [], "")}
