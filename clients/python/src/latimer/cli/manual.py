"""Writes the manual pages of the commands, from the commands themselves.

    python -m latimer.cli.manual FOLDER

The pages in `clients/python/man` are part of the wheel; a test keeps them current, and `make manual` writes them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from latimer import __version__

_EXIT_STATUS = [
    ("0", "All is good."),
    ("1", "Some units failed, or there are warnings and --strict is given."),
    ("2", "The command line, an input or an output is wrong; nothing was sent."),
    ("3", "The server cannot be reached, or fails, or the disk is full."),
    ("130", "The command was stopped. A batch keeps what is finished; --resume goes on."),
]
_ENVIRONMENT = [
    ("LATIMER_ADDRESS", "Address of the server, in place of --address."),
    ("LATIMER_TOKEN", "Token, in place of --token."),
    ("LATIMER_PROFILE", "Profile of the file of settings, in place of --profile."),
    ("NO_COLOR", "Switches colours off. Without a terminal there are none."),
]
_FILES = [("~/.config/latimer/config.toml", "Settings and profiles; docs/batches.md describes them.")]


def build_pages(application: typer.Typer) -> dict[str, str]:
    """Returns the pages of an application and of its commands by file name, in roff (man(7))."""
    # The commands are objects of typer's copy of click, which has no public name.
    root: Any = typer.main.get_command(application)
    return {f"{'-'.join(names)}.1": _build_page(names, command) for names, command in _walk(root, ("latimer",))}


def _walk(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    yield names, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from _walk(child, (*names, name))


def _build_page(names: tuple[str, ...], command: Any) -> str:  # noqa: ANN401
    title = "-".join(names)
    text = " ".join((command.help or "").split())
    first, _, rest = text.partition(". ")
    lines = [
        f'.TH "{title.upper()}" "1" "" "latimer {__version__}" "Latimer"',
        ".SH NAME",
        f"{_escape(title)} \\- {_escape(first.rstrip('.').lower() if len(names) == 1 else first.rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_escape(' '.join(names))}",
        _build_usage(command),
        ".SH DESCRIPTION",
        _escape(f"{first.rstrip('.')}."),
    ]
    if rest:
        lines += [".PP", _escape(rest)]
    if children := getattr(command, "commands", None):
        lines.append(".SH COMMANDS")
        for name, child in sorted(children.items()):
            lines += _build_entry("-".join((*names, name)) + "(1)", " ".join((child.help or "").split()))
    lines += _build_parameters(command)
    lines += _build_section("EXIT STATUS", _EXIT_STATUS)
    lines += _build_section("ENVIRONMENT", _ENVIRONMENT)
    lines += _build_section("FILES", _FILES)
    if len(names) > 1:
        lines += [".SH SEE ALSO", f".BR {_escape('-'.join(names[:-1]))} (1)"]
    return "\n".join(lines) + "\n"


def _build_usage(command: Any) -> str:  # noqa: ANN401
    parts = ["[OPTIONS]"]
    parts += [each.metavar or each.name.upper() for each in command.params if each.param_type_name == "argument"]
    if getattr(command, "commands", None):
        parts.append("COMMAND [ARGS]...")
    return _escape(" ".join(parts))


def _build_parameters(command: Any) -> list[str]:  # noqa: ANN401
    """Returns the sections of arguments and options; options in the panels of the help text."""
    panels: dict[str, list[str]] = {}
    for each in command.params:
        if each.param_type_name == "argument":
            title, label = "ARGUMENTS", each.metavar or each.name.upper()
        else:
            panel = getattr(each, "rich_help_panel", None)
            title = f"{panel} options".upper() if panel else "OPTIONS"
            value = "" if each.is_flag else f" {each.name.upper()}"
            label = f"{', '.join(sorted(each.opts, key=len))}{value}"
        panels.setdefault(title, []).extend(_build_entry(label, each.help or ""))
    panels.setdefault("OPTIONS", []).extend(_build_entry("-h, --help", "Show a short help and exit."))
    order = sorted(panels, key=lambda title: (title != "ARGUMENTS", title != "OPTIONS", title))
    return [line for title in order for line in (f".SH {title}", *panels[title])]


def _build_section(title: str, entries: list[tuple[str, str]]) -> list[str]:
    return [f".SH {title}", *(line for label, text in entries for line in _build_entry(label, text))]


def _build_entry(label: str, text: str) -> list[str]:
    return [".TP", f".B {_escape(label)}", _escape(text)]


def _escape(text: str) -> str:
    """Returns a text as roff: backslashes and hyphens as themselves, no line that begins as a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def main() -> None:
    """Writes all pages into a folder, and removes those of commands that are gone."""
    from latimer.cli.application import app

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pages = build_pages(app)
    for old in folder.glob("*.1"):
        if old.name not in pages:
            old.unlink()
    for name, page in pages.items():
        (folder / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
