"""What the commands share: their options, how settings are read, and how an error ends a command.

Knows neither servers nor models.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from latimer_server.config.settings import Settings, load_settings

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of the model files.")]
CatalogOption = Annotated[Path | None, typer.Option("--catalog", help="Your own catalogue (TOML).")]


def read_settings(config: Path | None, **flags: object) -> Settings:
    """The settings; says what is wrong with them and ends the command."""
    try:
        return load_settings(config, **flags)
    except ValidationError as error:
        fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
    except (OSError, ValueError) as error:
        fail(error)


def fail(error: object) -> NoReturn:
    """One line on standard error, exit status 1."""
    typer.echo(f"latimer-server: {error}", err=True)
    sys.exit(1)
