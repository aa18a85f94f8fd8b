"""Plain text of the client: which files are read as wrapped, and the cost of 1,000,000 lines.

Run: .venv/bin/python -m benchmarks.clients.plain_text
"""

from __future__ import annotations

import itertools
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.clients.roundtrip import Package
from latimer.files import ReadOptions, Translated, open_document

_LINES = 1_000_000
_OPTIONS = ReadOptions(source_language="en", target_language="en")


def main() -> None:
    """Prints the files and the figures."""
    print("| file of base-files | lines | units |\n|---|---|---|")
    for path in sorted(Package("apt", "base-files").fetch().glob("usr/share/*/**/*")):
        if path.is_file() and not path.is_symlink() and path.suffix != ".gz":
            units = sum(1 for _ in open_document(path, _OPTIONS, "text").units())
            lines = sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))
            print(f"| {path.name} | {lines:,} | {units:,} |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        with path.open("w") as file:
            file.writelines(f"This is the short line of number {number}.\n" for number in range(_LINES))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        document = open_document(path, _OPTIONS)
        start = time.process_time()
        count = sum(1 for _ in document.units())
        read = time.process_time() - start
        translated = Translated(text="Dies ist eine kurze Zeile.")
        start = time.process_time()
        with (Path(folder) / "out.txt").open("wb") as target:
            document.write(target, itertools.repeat(translated, count))
        written = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"\n{count:,} units: read at {count / read:,.0f}, written at {count / written:,.0f} lines a second of CPU time"
    )
    print(f"memory grew by {grown:.1f} MB")


if __name__ == "__main__":
    main()
