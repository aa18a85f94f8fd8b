"""The command `latimer`: translate, summarize and detect for a person, batches, and lists of what a server has.

Needs the extra `[cli]`. Results go to standard output; messages and progress go to standard error. Exit statuses: 0 all
is good, 1 some of the work failed, 2 usage, 3 the server or the disk, 130 stopped.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sys


def main() -> None:
    """Runs the command line in a process of its own. The entry point of the script."""
    # Without this gRPC logs every connection that ends. It reads the variable when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # The objects of modules live until the end. A collector that looks through them again and again while they load,
    # and in each full collection afterwards, finds nothing.
    gc.disable()
    with contextlib.suppress(ImportError):  # `run` names the package
        import latimer.cli.application  # noqa: F401
    gc.freeze()
    gc.enable()
    run()


def run() -> None:
    """Runs the command line with the arguments of the process, and exits."""
    try:
        from latimer.cli.application import app
        from latimer.cli.messages import NARROWEST_TABLE

        if shutil.get_terminal_size().columns < NARROWEST_TABLE:
            app.rich_markup_mode = None  # tables of options would cut their names
        app(prog_name="latimer")
    except ImportError as error:  # a format may import its library as late as it reads a file
        if error.name is None or error.name.partition(".")[0] not in _EXTRAS:
            raise
        cure = "install it from a clone with: pip install './clients/python[cli]'"
        sys.exit(f"latimer: the package {error.name} is missing; {cure}")
    except OSError as error:  # of standard output: a full disk, or a reader that has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter must not flush into it at the end
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        sys.stderr.write(f"latimer: the output: {error.strerror or error}\n")
        sys.exit(3)


# Packages that the extras `[cli]` and `[files]` bring.
_EXTRAS = frozenset({"typer", "rich", "tomli", "lxml", "ruamel", "charset_normalizer"})
