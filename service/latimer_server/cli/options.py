"""Command-line options that several commands share, and how a command reads its settings and reports an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from latimer_server.config.origins import Origin, find_origins, refuse_unknown_variables
from latimer_server.config.settings import Settings, load_settings
from latimer_server.config.value_rules import describe_fault, suggest
from latimer_server.core.escaping import escape_unprintable

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder for model files.")]
CatalogOption = Annotated[Path | None, typer.Option("--catalog", help="Your additions to the catalogue (TOML file).")]


def read_settings(config: Path | None, **flags: object) -> Settings:
    """Returns the settings from flags, environment and the file `config`. Flags that are None count as not given.

    If the settings are invalid, prints an error and ends the process with status 1.
    """
    try:
        refuse_unknown_variables(os.environ)
        return load_settings(config, **flags)
    except ValidationError as error:
        fail(describe_faults(error, find_origins(config, [name for name, value in flags.items() if value is not None])))
    except (OSError, ValueError) as error:
        fail(error)


def describe_faults(error: ValidationError, origins: Mapping[str, Origin]) -> str:
    """Returns one line that names each invalid setting, where it came from and what is wrong with it."""
    lines = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        if fault["type"] == "extra_forbidden":
            rule = f"is no setting{suggest(name, Settings.model_fields)}"
        else:
            rule = describe_fault(fault, Settings.model_fields.get(name))
        origin = origins.get(name)
        lines.append(f"{name}: {rule}{f' ({origin.text})' if origin else ''}")
    return "; ".join(lines)


def fail(error: object) -> NoReturn:
    """Prints `latimer-server: ` and the error in one line to standard error, and ends the process with status 1."""
    typer.echo(escape_unprintable(f"latimer-server: {error}"), err=True)
    sys.exit(1)
