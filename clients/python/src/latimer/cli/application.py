"""The commands of `latimer`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from latimer import __version__
from latimer.cli import batch, memory
from latimer.cli.connection import AddressOption, CaOption, ProfileOption, TimeoutOption, TlsOption, TokenOption
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


# The variables that stand in for options. They are read here and not by the commands, because an option before the
# command comes before them.
_VARIABLES = {"address": "LATIMER_ADDRESS", "token": "LATIMER_TOKEN", "profile": "LATIMER_PROFILE"}


@app.callback()
def start(
    context: typer.Context,
    *,
    version: VersionOption = False,  # noqa: ARG001 (its callback prints it)
    address: AddressOption = None,
    token: TokenOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    timeout: TimeoutOption = None,
    profile: ProfileOption = None,
) -> None:
    """Translate and summarize with a Latimer server.

    Options of the server may stand before the command or after it.
    """
    options = {"address": address, "token": token, "tls": tls, "ca": ca, "timeout": timeout, "profile": profile}
    given = {name: value for name, value in options.items() if value}
    command: Any = context.command
    invoked = command.commands.get(context.invoked_subcommand or "")
    for name in given:
        if invoked is not None and name not in _list_options(invoked):
            raise typer.BadParameter(f"latimer {context.invoked_subcommand} has no such option", param_hint=f"--{name}")
    for name, variable in _VARIABLES.items():
        if os.environ.get(variable):
            given.setdefault(name, os.environ[variable])
    context.default_map = _spread(command, given)


def _list_options(command: Any) -> set[str]:  # noqa: ANN401 (typer's copy of click has no public name)
    """Returns the names of the options of a command, or of all commands of a group."""
    children = getattr(command, "commands", {}).values()
    return {each.name for each in command.params}.union(*map(_list_options, children))


def _spread(command: Any, given: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Returns the defaults of the options of all commands below a group."""
    children = getattr(command, "commands", {})
    return {**given, **{name: _spread(child, given) for name, child in children.items()}}


app.command()(translate)
app.command()(summarize)
app.command()(detect)
app.command()(languages)
app.command()(models)
app.command()(health)
app.command()(formats)
app.add_typer(batch.app, name="batch")
app.add_typer(memory.app, name="memory")
