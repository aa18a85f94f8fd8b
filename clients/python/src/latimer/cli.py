"""The command `latimer`: translate, summarize, detect, languages, models, health.

Needs the extra `[cli]`. Reads a file or standard input; what was asked for goes to standard output, all
else to standard error. The terminal is this module's; the rest is the client's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

try:
    import typer
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table
except ImportError as error:
    sys.exit(f"latimer: the command line needs {error.name}: pip install 'latimer-client[cli]'")

# gRPC's core reads this when it is imported, and else tells of every connection that ends.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from latimer import Client, LatimerError, Translation
from latimer.types import TLS

app = typer.Typer(name="latimer", help="Translate and summarize with a Latimer server.", no_args_is_help=True)

# One request's text: far below the contract's limit, so that progress shows.
_PART_CHARACTERS = 100_000
# More languages of a model than these are counted.
_NAMED_LANGUAGES = 3

FileArgument = Annotated[Path | None, typer.Argument(help="A UTF-8 text file; none, or -: standard input.")]
AddressOption = Annotated[str, typer.Option(envvar="LATIMER_ADDRESS", help="HOST:PORT of the server.")]
TokenOption = Annotated[str | None, typer.Option(envvar="LATIMER_TOKEN", help="Sent as a bearer token.")]
TlsOption = Annotated[bool, typer.Option("--tls", help="Encrypt, trusting gRPC's roots.")]
CaOption = Annotated[Path | None, typer.Option("--ca", help="Encrypt, trusting this PEM file.")]
TimeoutOption = Annotated[float | None, typer.Option(help="Seconds for each call.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON with flags, models and scores.")]
DEFAULT_ADDRESS = "localhost:50051"


def main() -> None:
    """The entry point."""
    app()


@app.command()
def translate(
    file: FileArgument = None,
    target: Annotated[list[str] | None, typer.Option("--target", "-t", help="Language code; may be repeated.")] = None,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Language code; none: detected.")] = None,
    text_format: Annotated[str, typer.Option("--format", "-f", help="plain, html, markdown or xml.")] = "plain",
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Translate a text of any length; every line and blank stays where it is."""
    if not target:
        _fail("give at least one --target")
    text = _read(file)
    # A part of a document with markup would be none.
    parts = list(_split(text)) if text_format == "plain" else [text]
    with _client(address, token, tls, ca, timeout) as client:
        if source is None and len(parts) > 1:
            # One language for the whole text, so that a part of few words is not taken for another.
            found = client.detect(text[:_PART_CHARACTERS])
            source = found.language if found.reliable else None
        if len(parts) == 1:
            rows = [client.translate(text, target=target, source=source, text_format=text_format)]
        else:
            results = client.translate_many(parts, target=target, source=source, raise_errors=True)
            shown = track(results, "translating", total=len(parts), console=Console(stderr=True))
            rows = [list(result.translations) for result in shown]
    columns = [[row[index] for row in rows] for index in range(len(target))]
    if as_json:
        documents = [_describe(column, code) for column, code in zip(columns, target, strict=True)]
        _write_json(documents[0] if len(documents) == 1 else documents)
        return
    for column in columns:
        whole = "".join(translation.text for translation in column)
        sys.stdout.write(whole if whole.endswith("\n") or len(target) == 1 else whole + "\n")


def _describe(parts: list[Translation], target: str) -> dict[str, Any]:
    """The parts of a text as one translation."""
    models = dict.fromkeys(model for part in parts for model in part.models)
    ran = [part.score for part in parts if part.models]
    languages = [part.source_language for part in parts if part.models] or [parts[0].source_language]
    return {
        "text": "".join(part.text for part in parts),
        "source_language": languages[0],
        "target_language": next((part.target_language for part in parts if part.models), target),
        "score": sum(ran) / len(ran) if ran else 0.0,
        "flags": sorted({flag for part in parts for flag in part.flags}),
        "models": list(models),
    }


@app.command()
def summarize(
    file: FileArgument = None,
    sentences: Annotated[int | None, typer.Option("--sentences", "-n", help="How many sentences.")] = None,
    length: Annotated[str | None, typer.Option(help="short, medium or long.")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Language of the summary.")] = None,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Language code; none: detected.")] = None,
    mode: Annotated[str | None, typer.Option(help="extractive, abstractive or hybrid.")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Summarize a text of at most 1,000,000 characters."""
    text = _read(file)
    with _client(address, token, tls, ca, timeout) as client:
        summary = client.summarize(text, sentences=sentences, length=length, target=target, mode=mode, source=source)
    _write_json(dataclasses.asdict(summary)) if as_json else print(summary.text)


@app.command()
def detect(
    file: FileArgument = None,
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which language a text is in."""
    text = _read(file)
    with _client(address, token, tls, ca, timeout) as client:
        found = client.detect(text[:_PART_CHARACTERS])
    if as_json:
        _write_json(dataclasses.asdict(found))
    else:
        print(f"{found.language} {found.confidence:.2f} {'reliable' if found.reliable else 'unreliable'}")


@app.command()
def languages(
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the language pairs that are served."""
    with _client(address, token, tls, ca, timeout) as client:
        pairs = client.language_pairs()
    if as_json:
        _write_json([dataclasses.asdict(pair) for pair in pairs])
        return
    table = Table("source", "target", "models", box=None, pad_edge=False)
    for pair in pairs:
        table.add_row(pair.source_language, pair.target_language, " + ".join(pair.models))
    Console().print(table)


@app.command()
def models(
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the models of the server and their states."""
    with _client(address, token, tls, ca, timeout) as client:
        found = client.models()
    if as_json:
        _write_json([dataclasses.asdict(model) for model in found])
        return
    table = Table("name", "state", "task", "languages", "licence", box=None, pad_edge=False)
    for model in found:
        pair = f"{_shorten(model.source_languages, 'any')} -> {_shorten(model.target_languages, 'same')}"
        table.add_row(model.name, model.state.lower(), model.task.lower(), pair, model.license)
    Console().print(table)


def _shorten(codes: Sequence[str], none: str) -> str:
    """A few languages by their codes, many by their number."""
    return (" ".join(codes) or none) if len(codes) <= _NAMED_LANGUAGES else f"{len(codes)} languages"


@app.command()
def health(
    service: Annotated[str, typer.Argument(help="A service's full name, or model:NAME; none: the server.")] = "",
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Exit 0 if the server is SERVING, else 1."""
    with _client(address, token, tls, ca, timeout) as client:
        status = client.health(service)
    print(status)
    if status != "SERVING":
        raise typer.Exit(1)


@contextmanager
def _client(address: str, token: str | None, tls: bool, ca: Path | None, timeout: float | None) -> Iterator[Client]:  # noqa: FBT001
    """A client whose errors are one line on standard error."""
    try:
        credentials = TLS(ca.read_bytes()) if ca else TLS() if tls else None
        with Client(address, timeout=timeout, token=token, tls=credentials) as client:
            yield client
    except LatimerError as error:
        _fail(f"{error.code}: {error}" if error.code else str(error))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}")


def _read(file: Path | None) -> str:
    """The input, line ends as they are."""
    try:
        data = sys.stdin.buffer.read() if file is None or str(file) == "-" else file.read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        _fail(f"{file}: {error.strerror}")
    except UnicodeDecodeError as error:
        _fail(f"{file or 'standard input'}: is not UTF-8 at byte {error.start}")


def _split(text: str) -> Iterator[str]:
    """Parts of at most _PART_CHARACTERS where there are paragraphs, else lines, else spaces, to split at."""
    position = 0
    while len(text) - position > _PART_CHARACTERS:
        window = text[position : position + _PART_CHARACTERS]
        for pattern in (r"\n\s*\n", r"\n", r"\s"):
            ends = [match.end() for match in re.finditer(pattern, window)]
            if ends:
                break
        end = position + (ends[-1] if ends else _PART_CHARACTERS)
        yield text[position:end]
        position = end
    yield text[position:]


def _write_json(value: Any) -> None:  # noqa: ANN401
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def _fail(message: str) -> NoReturn:
    typer.echo(f"latimer: {message}", err=True)
    raise typer.Exit(1)
