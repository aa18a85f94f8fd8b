"""The command `latimer translate`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from latimer.batch.flags import select_warnings
from latimer.batch.inputs import STANDARD
from latimer.batch.results import BatchError
from latimer.batch.run_paths import RunPath, check_paths
from latimer.cli import options
from latimer.cli.batch import list_option_files, read_translate_options
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
from latimer.cli.messages import FAILED, explain_errors, say, stop_on_signals
from latimer.cli.texts import Given, read_arguments, read_lines, read_text, write, write_output
from latimer.files import ReadOptions
from latimer.types import Translation

# Formats of a text that has no file, which the server reads.
_FORMS = ("plain", "html", "markdown", "xml")


def translate(
    texts: options.TextsArgument = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", "-t", "--target", help="Target language, such as pt; may be repeated for a text."),
    ] = None,
    source: options.SourceOption = None,
    output: options.OutputOption = None,
    format_name: options.FormatOption = None,
    model: options.ModelOption = None,
    glossary: options.GlossaryOption = None,
    protect: options.ProtectOption = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Translate each line of standard input when it comes.")
    ] = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    strict: options.StrictOption = False,
    force: options.ForceOption = False,
    resume: options.ResumeOption = False,
    encoding: options.EncodingOption = None,
    path: options.PathOption = None,
    column: options.ColumnOption = None,
    no_header: options.NoHeaderOption = False,
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    profile: ProfileOption = None,
) -> None:
    """Translate a text, files or standard input. Line breaks, spaces and mark-up are kept.

    Files are read by the ending of their names, as in latimer batch translate, which goes on after a stop.
    """
    stop_on_signals()
    with explain_errors():
        connection = connect(address, token, ca, timeout, profile, tls=tls)
    with explain_errors(connection):
        targets = to or ([connection.target] if connection.target else [])
        if not targets:
            raise BatchError("no target language; give one with --to, such as --to pt")
        source = source or connection.source
        request = BatchRequest(
            task="translate",
            names=(),
            out=STANDARD if output is None else str(output),
            connection=connection,
            read=ReadOptions(
                target_language=targets[0],
                source_language=source,
                encoding=encoding,
                paths=tuple(path or ()),
                columns=tuple(column or ()),
                header=not no_header,
            ),
            format_name=format_name,
            options=read_translate_options(model, glossary, protect or (), source, targets[0]),
            option_files=list_option_files(glossary, protect or ()),
            resumes=resume,
            overwrites=force,
            is_quiet=quiet,
            is_strict=strict,
            is_brief=True,
            is_json=as_json,
        )
        given = read_arguments(texts or ())
        if stream:
            status = _translate_lines(request, given, targets)
        elif given.text is not None or _is_one_text(request, given, targets):
            status = _translate_text(request, given, targets)
        elif len(targets) > 1:
            raise BatchError("several --to are for a text; translate files into one language at a time")
        else:
            format_name = None if format_name == "plain" else format_name
            status = run_batch(dataclasses.replace(request, names=given.names, format_name=format_name))
    raise typer.Exit(status)


def _is_one_text(request: BatchRequest, given: Given, targets: Sequence[str]) -> bool:
    """Returns True if standard input is translated as one text, not line by line: for mark-up and several targets."""
    return given.names == [STANDARD] and (len(targets) > 1 or request.format_name in _FORMS[1:])


def _translate_text(request: BatchRequest, given: Given, targets: Sequence[str]) -> int:
    """Translates one text and returns the exit status."""
    text = given.text if given.text is not None else read_text(STANDARD)
    form = request.format_name or "plain"
    if form not in _FORMS:
        raise BatchError(f"the format of a text is {', '.join(_FORMS)}; {form} is a format of files")
    if request.out != STANDARD:
        check_paths([*request.option_files, RunPath("--output", Path(request.out), is_written=True)])
    sent = {**request.options, "text_format": form}
    with request.connection.open() as client:
        translations = client.translate(text, target=targets, source=request.read.source_language, **sent)
    if request.is_json:
        parts = [_to_json(text, each) for each in translations]
    else:
        # A text of the command line has no line end of its own.
        parts = [
            each.text if each.text.endswith("\n") or (given.text is None and len(targets) == 1) else each.text + "\n"
            for each in translations
        ]
    if request.out == STANDARD:
        write("".join(parts))
    else:
        write_output(Path(request.out), "".join(parts), overwrites=request.overwrites)
    return finish((flag for each in translations for flag in each.flags), request)


def _translate_lines(request: BatchRequest, given: Given, targets: Sequence[str]) -> int:
    """Translates each line of standard input as it comes, and returns the exit status."""
    if given.names != [STANDARD] or request.out != STANDARD:
        raise BatchError("--stream reads standard input and writes standard output; give no files and no --output")
    flags: list[str] = []
    failed = 0
    lines = ((line[len(line.rstrip("\r\n")) :], line.rstrip("\r\n")) for line in read_lines())
    with request.connection.open() as client:
        results = client.translate_many(lines, target=targets, source=request.read.source_language, **request.options)
        for item in results:
            for translation in item.translations:
                flags += select_warnings(translation.flags)
                if translation.error is not None:
                    failed += 1
                    say(f"line {item.index + 1}: {translation.error}; it is left as it is")
                if request.is_json:
                    write(_to_json(item.source_text, translation))
                else:
                    write((item.source_text if translation.error else translation.text) + item.key)
    return max(finish(flags, request), FAILED if failed else 0)


def _to_json(source: str, translation: Translation) -> str:
    """Returns a translation as one line of JSON."""
    value = {
        "source": source,
        "text": translation.text,
        "source_language": translation.source_language,
        "target_language": translation.target_language,
        "flags": list(translation.flags),
        "models": list(translation.models),
        "score": translation.score,
    }
    if translation.error is not None:
        value["error"] = str(translation.error)
    return json.dumps(value, ensure_ascii=False) + "\n"
