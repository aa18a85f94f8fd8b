"""The command `latimer`: translate, summarize, detect, languages, models and health.

Needs the extra `[cli]`. Commands read a file or standard input. Results go to standard output; errors and progress go
to standard error. An error is one line, and the exit status is 1.
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
    sys.exit(f"latimer: the package {error.name} is missing; install it with: pip install 'latimer-client[cli]'")

# Without this gRPC logs every connection that ends. gRPC reads the variable when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from latimer import Client, LatimerError, Translation, __version__
from latimer.types import TLS

app = typer.Typer(name="latimer", help="Translate and summarize with a Latimer server.", no_args_is_help=True)

# The code points of one part of a long text: far below the contract's limit, so that the progress bar moves.
_PART_CHARACTERS = 100_000
# The table of models lists at most this many languages of a model; otherwise it shows their number.
_NAMED_LANGUAGES = 3
# Explanations by gRPC status. {address} becomes the address of the server.
_EXPLANATIONS = {
    "UNAVAILABLE": "the server at {address} is not available",
    "DEADLINE_EXCEEDED": "the server did not answer in time; try a larger --timeout",
    "RESOURCE_EXHAUSTED": "the server is overloaded or the text is too large; try again later",
    "INVALID_ARGUMENT": "the server refused the request",
    "NOT_FOUND": "the server does not have this model or language pair",
    "UNIMPLEMENTED": "the server does not support this request",
    "UNAUTHENTICATED": "the server did not accept the token; set --token or LATIMER_TOKEN",
    "PERMISSION_DENIED": "the server does not allow this call",
    "CANCELLED": "the call was cancelled",
}
_UNEXPLAINED = "the server failed"

FileArgument = Annotated[
    Path | None, typer.Argument(help="A UTF-8 text file. Without one, or with -, standard input is read.")
]
AddressOption = Annotated[str, typer.Option(envvar="LATIMER_ADDRESS", help="Address of the server, HOST:PORT.")]
TokenOption = Annotated[
    str | None, typer.Option(envvar="LATIMER_TOKEN", help="Token that the server accepts; sent as a bearer token.")
]
TlsOption = Annotated[bool, typer.Option("--tls", help="Use TLS and trust the usual certificate authorities.")]
CaOption = Annotated[Path | None, typer.Option("--ca", help="Use TLS and trust the certificates in this PEM file.")]
TimeoutOption = Annotated[
    float | None, typer.Option(help="Seconds to wait for each call. By default only health has a limit.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON with all fields of the result.")]
DEFAULT_ADDRESS = "localhost:50051"


def main() -> None:
    """Runs the command line. The entry point of the script."""
    app()


def _print_version(wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


# The option has a callback of its own, because the command group refuses a command line without a command.
VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the client's version and exit.")
]


@app.callback()
def start(*, version: VersionOption = False) -> None:
    """Translate and summarize with a Latimer server."""


@app.command()
def translate(
    file: FileArgument = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="Target language, such as pt; may be repeated.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", "-s", help="Language of the text. Default: detected.")
    ] = None,
    text_format: Annotated[
        str, typer.Option("--format", "-f", help="Markup of the text: plain, html, markdown or xml.")
    ] = "plain",
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Translate a text of any length. Line breaks and spaces are kept."""
    if not target:
        _fail("no target language; give one or more, such as --target pt")
    text = _read(file)
    # Markup is not divided, because a part of a document would not be well-formed.
    parts = list(_split(text)) if text_format == "plain" else [text]
    with _client(address, token, tls, ca, timeout) as client:
        if source is None and len(parts) > 1:
            # The language is detected once, from the beginning of the text: on a short part detection is less reliable.
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
    """Returns the parts of a text as the JSON object of one translation. The score is the mean over the parts."""
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
    sentences: Annotated[int | None, typer.Option("--sentences", "-n", help="Number of sentences.")] = None,
    length: Annotated[str | None, typer.Option(help="Instead of a number of sentences: short, medium or long.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Language of the summary. Default: that of the text.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", "-s", help="Language of the text. Default: detected.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="extractive, abstractive or hybrid. Default: the server's.")] = None,
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
    """Detect the language of a text."""
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
    """List the language pairs that the server translates."""
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
    """Returns the codes of a few languages, or the number of many. `none`: the text for an empty list."""
    return (" ".join(codes) or none) if len(codes) <= _NAMED_LANGUAGES else f"{len(codes)} languages"


@app.command()
def health(
    service: Annotated[
        str, typer.Argument(help="Full name of a gRPC service, or model:NAME. Default: the whole server.")
    ] = "",
    address: AddressOption = DEFAULT_ADDRESS,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Print the health status. The exit status is 0 for SERVING, else 1."""
    with _client(address, token, tls, ca, timeout) as client:
        status = client.health(service)
    print(status)
    if status != "SERVING":
        raise typer.Exit(1)


@contextmanager
def _client(address: str, token: str | None, tls: bool, ca: Path | None, timeout: float | None) -> Iterator[Client]:  # noqa: FBT001
    """Yields a client. Errors in the body are printed as one line on standard error and end the program with status
    1."""
    try:
        credentials = TLS(ca.read_bytes()) if ca else TLS() if tls else None
        with Client(address, timeout=timeout, token=token, tls=credentials) as client:
            yield client
    except LatimerError as error:
        if not error.code:
            _fail(str(error))
        explanation = _EXPLANATIONS.get(error.code, _UNEXPLAINED).format(address=address)
        _fail(f"{explanation} ({error.code}): {error}")
    except OSError as error:
        _fail(f"cannot read {error.filename}: {error.strerror}")


def _read(file: Path | None) -> str:
    """Returns the text of a file or of standard input. Line breaks are not converted."""
    path = None if file is None or str(file) == "-" else file
    name = path or "standard input"
    try:
        return (path.read_bytes() if path else sys.stdin.buffer.read()).decode("utf-8")
    except OSError as error:
        _fail(f"cannot read {name}: {error.strerror}")
    except UnicodeDecodeError as error:
        _fail(f"{name} is not UTF-8 text: invalid byte at offset {error.start}")


def _split(text: str) -> Iterator[str]:
    """Yields parts of at most `_PART_CHARACTERS`. Splits after a paragraph, else after a line, else after a space."""
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
