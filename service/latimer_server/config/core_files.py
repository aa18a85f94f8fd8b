"""Core files: keeps the memory of the process, which holds texts and secrets of users, out of them."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

_log = logging.getLogger(__name__)

# Which memory the kernel writes into a core file (core(5)).
_FILTER = Path("/proc/self/coredump_filter")


def prevent_core_files() -> None:
    """Sets the limit of core files to 0, for this process and the processes that it starts.

    The kernel does not apply the limit if it passes core files to a program, such as systemd-coredump. So it is told
    to leave out all memory as well: such a file then holds the stack of calls at most.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _FILTER.write_text("0", "ascii")
    except OSError as error:
        # Some sandboxes have no such file, and write no core files either.
        _log.debug("core filter not set", extra={"cause": error.strerror})
