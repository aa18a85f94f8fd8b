"""What this process may use: cores and memory, of the machine or of the container that it is in.

Reads the process's affinity and its control groups, version 2 and 1, by `/proc/self/cgroup` and
`/proc/self/mountinfo` as Go's runtime and the JVM do (proc(5), cgroups(7)): a limit may be set at the process's own
group or at any above it, and the least holds. Knows nothing of what the figures are for.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class _Mount:
    """A hierarchy of control groups: which of its groups is mounted, and where."""

    group: PurePosixPath
    place: str
    version: int
    controllers: frozenset[str]


def available_cores(root: Path = _ROOT) -> int:
    """The cores that this process may use: those of its affinity, or its container's time on the processors if that
    is less, a part of a core counted as one. At least 1. `root`: where `/proc` and the mounts are, for tests."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(share) for share in _read_shares(root))]))


def available_memory(root: Path = _ROOT) -> int | None:
    """The bytes that this process may use: the machine's, or its container's if that is less; None if unknown."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    bounds = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for version, group in _list_groups("memory", root):
        bound = _read_number(group / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        bounds += [bound] if bound is not None and bound > 0 else []
    return min(bounds)


def _read_shares(root: Path) -> Iterator[float]:
    """Processor time a second, in seconds, that the groups of this process allow."""
    for version, group in _list_groups("cpu", root):
        if version == 2:
            numbers = _read(group / "cpu.max").split()
        else:
            numbers = [_read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip()]
        # "max", -1 and what is not there are no limits.
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers) and int(numbers[1]) > 0:
            yield int(numbers[0]) / int(numbers[1])


def _list_groups(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    """The folders of the groups that this process is in, its own first and then those above it as far as they can
    be seen, each with the version of its hierarchy."""
    paths = _read_paths(root)
    for mount in _read_mounts(root):
        if mount.version == 1 and controller not in mount.controllers:
            continue
        path = paths.get(controller if mount.version == 1 else "")
        if path is None:
            continue
        place = root / mount.place.lstrip("/")
        # In a container without a namespace of its own the path is the host's, of which only a part is mounted.
        seen = path.is_relative_to(mount.group) and ".." not in path.parts
        inner = path.relative_to(mount.group) if seen else PurePosixPath()
        for folder in dict.fromkeys([place / inner, *(place / parent for parent in inner.parents)]):
            if folder.is_dir():
                yield mount.version, folder


def _read_paths(root: Path) -> dict[str, PurePosixPath]:
    """The group of this process by controller; "" is version 2's."""
    paths: dict[str, PurePosixPath] = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            if controller or number == "0":
                paths[controller] = PurePosixPath(path)
    return paths


def _read_mounts(root: Path) -> Iterator[_Mount]:
    for line in _read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and len(kind) > 2 and kind[0] in ("cgroup", "cgroup2"):
            version = 2 if kind[0] == "cgroup2" else 1
            group, place = PurePosixPath(_unescape(fields[3])), _unescape(fields[4])
            yield _Mount(group, place, version, frozenset(kind[2].split(",")))


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)


def _read_number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
