"""The command `latimer-server`: registers its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from latimer_server import __version__
from latimer_server.cli.config import config_app
from latimer_server.cli.keys import keys_app
from latimer_server.cli.models import models_app
from latimer_server.cli.serve import serve
from latimer_server.cli.setting_options import with_setting_options

app = typer.Typer(name="latimer-server", help="Translation and summarization over gRPC.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")
app.add_typer(config_app, name="config")
app.command()(with_setting_options(serve))


def main() -> None:
    """Runs the command line and ends the process. Expected errors print one line to standard error; status 1."""
    app()


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (the library calls it so)
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def set_up(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Translation and summarization over gRPC."""


@app.command("version")
def print_version() -> None:
    """Print the version."""
    typer.echo(__version__)
