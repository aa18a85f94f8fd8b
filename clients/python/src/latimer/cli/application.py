"""The commands of `latimer`."""

from __future__ import annotations

from typing import Annotated

import typer

from latimer import __version__
from latimer.cli import batch, memory
from latimer.cli.detect import detect
from latimer.cli.listing import formats, health, languages, models
from latimer.cli.summarize import summarize
from latimer.cli.translate import translate

app = typer.Typer(
    name="latimer",
    help="Translate and summarize with a Latimer server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (typer's callback)
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


app.command()(translate)
app.command()(summarize)
app.command()(detect)
app.command()(languages)
app.command()(models)
app.command()(health)
app.command()(formats)
app.add_typer(batch.app, name="batch")
app.add_typer(memory.app, name="memory")
