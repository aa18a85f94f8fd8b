"""The command `latimer summarize`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from latimer.batch.inputs import STANDARD
from latimer.batch.results import BatchError
from latimer.cli import options
from latimer.cli.batch import drop_empty
from latimer.cli.batch_run import BatchRequest, finish, run_batch
from latimer.cli.connection import (
    AddressOption,
    CaOption,
    ProfileOption,
    TimeoutOption,
    TlsOption,
    TokenOption,
    connect,
)
from latimer.cli.messages import explain_errors, stop_on_signals
from latimer.cli.texts import MOST_CHARACTERS, Given, read_arguments, read_text, write, write_output
from latimer.files import ReadOptions


def summarize(
    texts: options.TextsArgument = None,
    sentences: Annotated[int | None, typer.Option("--sentences", "-n", min=1, help="Number of sentences.")] = None,
    length: Annotated[str | None, typer.Option(help="Instead of a number: short, medium or long.")] = None,
    max_words: Annotated[int | None, typer.Option(min=1, help="Instead of a number: most words.")] = None,
    mode: Annotated[str | None, typer.Option(help="extractive, abstractive or hybrid. Default: the server's.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", "-t", "--target", help="Language of the summary. Default: of the text.")
    ] = None,
    source: options.SourceOption = None,
    output: options.OutputOption = None,
    format_name: options.FormatOption = None,
    model: options.ModelOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    strict: options.StrictOption = False,
    force: options.ForceOption = False,
    encoding: options.EncodingOption = None,
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    profile: ProfileOption = None,
) -> None:
    """Summarize a text, files or standard input: one summary for each, of at most 1,000,000 characters."""
    stop_on_signals()
    with explain_errors():
        connection = connect(address, token, ca, timeout, profile, tls=tls)
    with explain_errors(connection):
        given = read_arguments(texts or ())
        source = source or connection.source
        request = BatchRequest(
            task="summarize",
            names=given.names,
            out=STANDARD if output is None else str(output),
            connection=connection,
            read=ReadOptions(target_language=to or source or "", source_language=source, encoding=encoding),
            format_name=format_name,
            options=drop_empty(
                sentences=sentences,
                length=length,
                max_words=max_words,
                mode=mode,
                target=to,
                source=source,
                model=model,
            ),
            overwrites=force,
            is_quiet=quiet,
            is_strict=strict,
            is_brief=True,
            is_json=as_json,
            suffix=".summary.txt",
        )
        is_text = given.text is not None or (given.names == [STANDARD] and format_name in (None, "plain"))
        status = _summarize_text(request, given) if is_text else run_batch(request)
    raise typer.Exit(status)


def _summarize_text(request: BatchRequest, given: Given) -> int:
    """Summarizes one text and returns the exit status."""
    text = given.text if given.text is not None else read_text(STANDARD)
    if len(text) > MOST_CHARACTERS:
        raise BatchError(f"the text has {len(text):,} characters, and at most {MOST_CHARACTERS:,} can be summarized")
    with request.connection.open() as client:
        summary = client.summarize(text, **request.options)
    if request.is_json:
        shown = json.dumps(dataclasses.asdict(summary), ensure_ascii=False, default=str)
    else:
        shown = summary.text
    if request.out == STANDARD:
        write(shown + "\n")
    else:
        write_output(Path(request.out), shown + "\n", overwrites=request.overwrites)
    return finish(summary.flags, request)
