"""Command-line options that several commands share, and how a command reads its settings and reports an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from latimer_server.config.settings import Settings, load_settings

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder for model files.")]
CatalogOption = Annotated[Path | None, typer.Option("--catalog", help="Your additions to the catalogue (TOML file).")]


def read_settings(config: Path | None, **flags: object) -> Settings:
    """Returns the settings from flags, environment and the file `config`. Flags that are None count as not given.

    If the settings are invalid, prints an error and ends the process with status 1.
    """
    try:
        return load_settings(config, **flags)
    except ValidationError as error:
        fail("; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()))
    except (OSError, ValueError) as error:
        fail(error)


def fail(error: object) -> NoReturn:
    """Prints `latimer-server: ` and the error to standard error, and ends the process with status 1."""
    typer.echo(f"latimer-server: {error}", err=True)
    sys.exit(1)
