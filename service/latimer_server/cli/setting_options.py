"""Gives a command one option for each setting, made from the settings themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from latimer_server.cli.options import ConfigOption, read_settings
from latimer_server.config.origins import name_option
from latimer_server.config.sample import show_default
from latimer_server.config.settings import Settings


@dataclass(frozen=True)
class GivenOptions:
    """The options of a command. `config`: the configuration file. `values`: the values of the options, by setting."""

    config: Path | None
    values: dict[str, object]

    def read(self) -> Settings:
        """Returns the settings, or ends the process with an error."""
        return read_settings(self.config, **self.values)


def with_setting_options(command: Callable[[GivenOptions], None]) -> Callable[..., None]:
    """Returns a function for typer whose options are `--config` and one for each setting. It calls `command`."""

    def run(**options: Any) -> None:  # noqa: ANN401 (each option has its own type)
        config = options.pop("config")
        command(GivenOptions(config, {name: value for name, value in options.items() if value is not None}))

    annotations: dict[str, Any] = {"config": ConfigOption}
    for name, field in Settings.model_fields.items():
        is_switch = field.annotation is bool
        option = name_option(name)
        declaration = f"{option}/--no-{option.removeprefix('--')}" if is_switch else option
        described = typer.Option(declaration, help=_describe(name), show_default=False)
        annotations[name] = Annotated[bool | None if is_switch else str | None, described]
    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    run.__annotations__ = {**annotations, "return": None}
    # typer reads the options of a command from its signature.
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in annotations.items()
        ]
    )
    return run


def _describe(name: str) -> str:
    return f"{Settings.model_fields[name].description} Default: {show_default(name)}."
