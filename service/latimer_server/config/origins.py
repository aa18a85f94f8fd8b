"""Where each setting comes from: an option, the environment, the configuration file or its default."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from latimer_server.config.settings import Settings
from latimer_server.config.toml_lines import TomlError, find_line, parse_toml
from latimer_server.config.value_rules import suggest

_PREFIX = "LATIMER_"
# Variables of the client, of the C++ engine and of the tests.
OTHER_VARIABLES = frozenset({"LATIMER_ADDRESS", "LATIMER_TOKEN", "LATIMER_ENGINE", "LATIMER_TEST_TOOLS"})
# Kubernetes and Docker set such variables for a service with this name.
_SERVICE_LINKS = re.compile(
    r"LATIMER_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?|NAME|ENV_\w+)"
)


@dataclass(frozen=True)
class Origin:
    """The place that decided a setting, in words: `option --listen`, `environment LATIMER_LISTEN`, `FILE, line 3` or
    `default`."""

    text: str


DEFAULT = Origin("default")


def find_origins(config: Path | None, options: Iterable[str]) -> Mapping[str, Origin]:
    """Returns the origin of each setting by its name. `options`: the names of the settings that options give.

    A configuration file that cannot be read counts as empty; `load_settings` reports it.
    """
    names = tuple(Settings.model_fields)
    origins = dict.fromkeys(names, DEFAULT)
    text = _read_text(config)
    for name in _list_keys(text):
        origins[name] = Origin(f"{config}, line {find_line(text, (name,))}")
    for variable in os.environ:
        name = variable.upper().removeprefix(_PREFIX).lower()
        if variable.upper().startswith(_PREFIX) and name in names:
            origins[name] = Origin(f"environment {variable}")
    for name in options:
        origins[name] = Origin(f"option {name_option(name)}")
    return origins


def name_option(setting: str) -> str:
    """Returns the command-line option of a setting."""
    return f"--{setting.replace('_', '-')}"


def refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Raises ValueError for a variable LATIMER_* that is no setting: it may be one whose name has a mistake."""
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for variable in environment:
        name = variable.upper()
        if not name.startswith(_PREFIX) or name in known | OTHER_VARIABLES or _SERVICE_LINKS.fullmatch(name):
            continue
        raise ValueError(f"{variable}: is no setting of the server{suggest(name, known)}")


def _read_text(config: Path | None) -> str:
    try:
        return config.read_text("utf-8") if config else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _list_keys(text: str) -> Iterable[str]:
    try:
        return parse_toml(text)
    except TomlError:
        return ()
