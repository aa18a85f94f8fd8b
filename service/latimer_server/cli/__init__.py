"""The command line of the server."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def run() -> None:
    """Runs the command line. The entry point of the script; `main` registers the subcommands.

    The package of the client is no requirement that pip could install (docs/decisions/0085), so a message says if it is
    missing.
    """
    if find_spec("latimer") is None:
        sys.exit(
            "latimer-server: the client package is missing; install both from a clone: pip install ./clients/python ."
        )
    from latimer_server.cli.main import main

    main()
