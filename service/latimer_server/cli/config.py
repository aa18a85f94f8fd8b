"""The commands `latimer-server config`: show and check the settings, and print a sample configuration file."""

from __future__ import annotations

import typer

from latimer_server.cli.options import fail
from latimer_server.cli.setting_options import GivenOptions, with_setting_options
from latimer_server.config.origins import DEFAULT, find_origins
from latimer_server.config.sample import list_rows, show_default, show_value, write_sample
from latimer_server.config.settings import Settings
from latimer_server.core.errors import LatimerError
from latimer_server.models.catalog.catalog import load_catalog

config_app = typer.Typer(help="The settings of the server.", no_args_is_help=True)


def show(options: GivenOptions) -> None:
    """Print every setting with its value and where it came from. Takes the options of `serve`."""
    settings = options.read()
    origins = find_origins(options.config, options.values)
    for name in Settings.model_fields:
        value = getattr(settings, name)
        is_default = value is None and origins[name].text == DEFAULT.text
        typer.echo(f"{name} = {show_default(name) if is_default else show_value(value)}\t({origins[name].text})")


def check(options: GivenOptions) -> None:
    """Check the settings and the files that they name, without starting a server. Takes the options of `serve`."""
    settings = options.read()
    from latimer_server.observability.server_telemetry import check_collector_variables
    from latimer_server.rpc.access_control import make_access_control
    from latimer_server.rpc.listening import check_exposure

    try:
        check_exposure(settings)
        make_access_control(settings)
        check_collector_variables()
        catalog = load_catalog(settings.catalog)
        for name in settings.models or ():
            catalog.get(name)
    except LatimerError as error:
        fail(error)
    typer.echo("the settings and their files can be used")


config_app.command("show")(with_setting_options(show))
config_app.command("check")(with_setting_options(check))


@config_app.command("sample")
def print_sample() -> None:
    """Print a configuration file with every setting, its meaning and its default."""
    typer.echo(write_sample(), nl=False)


@config_app.command("table")
def print_table() -> None:
    """Print the rows of the table of settings in docs/operating.md (Markdown)."""
    typer.echo("".join(list_rows()), nl=False)
