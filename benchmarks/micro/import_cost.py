"""Prints the CPU time that `import latimer` adds to `import grpc`: `python -m benchmarks.micro.import_cost`.

Exits with 1 if it is more than a client may add.
"""

from __future__ import annotations

import os
import subprocess
import sys

from rich.console import Console

_ROUNDS = 9
# What issue 20 asks for.
_MOST_SECONDS = 0.060
_CODE = (
    "import time\nstart = time.process_time()\nimport grpc, grpc.aio\nmiddle = time.process_time()\n"
    "import latimer\nprint(middle - start, time.process_time() - middle)"
)


def measure_imports() -> tuple[float, float]:
    """Returns CPU seconds of `import grpc, grpc.aio` and of `import latimer` after it, each the least of a few runs."""
    runs = []
    for _ in range(_ROUNDS):
        # Installed packages have bytecode, which this variable may keep a clone from having.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        done = subprocess.run(
            [sys.executable, "-c", _CODE], check=True, capture_output=True, text=True, env=environment
        )
        runs.append([float(seconds) for seconds in done.stdout.split()])
    library, client = map(min, zip(*runs, strict=True))
    return library, client


def main() -> None:
    """Prints both times and their ratio."""
    library, client = measure_imports()
    Console().print(
        f"grpc {1e3 * library:.0f} ms, latimer {1e3 * client:.0f} ms more (bound {1e3 * _MOST_SECONDS:.0f} ms), ratio"
        f" {client / library:.2f}"
    )
    sys.exit(0 if client <= _MOST_SECONDS else 1)


if __name__ == "__main__":
    main()
