"""Runs all shapes of overload: `python -m benchmarks.service.overload [--seconds 60]`.

Bursts of long and of short calls, crowds in closed loops, and twice the peak load for five minutes. Each module runs
alone too. Exits with status 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys


def main() -> int:
    """Reads the command line, runs the modules and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="seconds of twice the peak load")
    seconds = str(parser.parse_args().seconds)
    runs = (
        ("bursts",),
        ("bursts", "--calls", "120", "--characters", "200", "--factor", "30"),
        ("crowds",),
        ("steady", "--seconds", seconds),
    )
    statuses = [
        subprocess.run([sys.executable, "-m", f"benchmarks.service.overload.{name}", *flags], check=False).returncode
        for name, *flags in runs
    ]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
