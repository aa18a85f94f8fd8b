"""The command `latimer detect`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import typer

from latimer.batch.inputs import STANDARD
from latimer.batch.summaries import read_plain_text
from latimer.cli import options
from latimer.cli.connection import (
    AddressOption,
    CaOption,
    ProfileOption,
    TimeoutOption,
    TlsOption,
    TokenOption,
    connect,
)
from latimer.cli.messages import FAILED, explain_errors
from latimer.cli.texts import read_arguments, read_text, write
from latimer.files import FileError, ReadOptions, open_document
from latimer.types import Detection

# Code points from which the language of a text is detected; more makes it no surer.
_SAMPLE = 20_000


def detect(
    texts: options.TextsArgument = None,
    format_name: options.FormatOption = None,
    as_json: options.JsonOption = False,
    strict: options.StrictOption = False,
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    profile: ProfileOption = None,
) -> None:
    """Detect the language of a text, of files or of standard input.

    Prints the language, its probability and whether it is reliable; before them the name of the file, if there are
    several.
    """
    with explain_errors():
        connection = connect(address, token, ca, timeout, profile, tls=tls)
    with explain_errors(connection):
        given = read_arguments(texts or ())
        samples = [given.text] if given.text is not None else [_sample(name, format_name) for name in given.names]
        with connection.open() as client:
            found = client.detect([sample[:_SAMPLE] for sample in samples])
        for detection in found:
            if detection.error is not None:
                raise detection.error
        _show(given.names, found, as_json=as_json)
    raise typer.Exit(FAILED if strict and not all(detection.reliable for detection in found) else 0)


def _sample(name: str, format_name: str | None) -> str:
    """Returns the beginning of the text of a file, without what is not text where its format is known."""
    if name == STANDARD:
        return read_text(name)
    try:
        document = open_document(Path(name), ReadOptions(target_language=""), format_name)
    except FileError:
        if format_name is not None:
            raise
        return read_text(name)
    parts: list[str] = []
    size = 0
    for unit in document.units():
        parts.append(read_plain_text(unit))
        size += len(unit.text)
        if size >= _SAMPLE:
            break
    return "\n".join(parts)


def _show(names: Sequence[str], found: Sequence[Detection], *, as_json: bool) -> None:
    for number, detection in enumerate(found):
        name = names[number] if names else ""
        if as_json:
            value = {key: each for key, each in dataclasses.asdict(detection).items() if key != "error"}
            write(json.dumps({"file": name, **value} if name else value, ensure_ascii=False) + "\n")
            continue
        certainty = "reliable" if detection.reliable else "not reliable"
        prefix = f"{name}: " if len(found) > 1 else ""
        write(f"{prefix}{detection.language} {detection.confidence:.2f} {certainty}\n")
