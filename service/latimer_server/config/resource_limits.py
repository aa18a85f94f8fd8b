"""Resource limits: determines how many cores and how much memory this process may use.

Reads the process's CPU affinity and its control groups (versions 1 and 2) from `/proc/self/cgroup` and
`/proc/self/mountinfo`, as Go's runtime and the JVM do (proc(5), cgroups(7)). A limit may be set at the process's own
group or at any parent group; the lowest limit applies.
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
    """A mounted hierarchy of control groups.

    `group`: the group that is mounted, as a path in the hierarchy. `place`: the mount point. `version`: 1 or 2.
    `controllers`: names such as `cpu` and `memory`, read for version 1 only; version 2 has all in one hierarchy.
    """

    group: PurePosixPath
    place: str
    version: int
    controllers: frozenset[str]


def available_cores(root: Path = _ROOT) -> int:
    """Returns the number of cores that this process may use, at least 1.

    This is the lower of the CPU affinity and the container's CPU quota, rounded up. `root`: the folder of `/proc` and
    the mounts; only tests change it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(share) for share in _read_shares(root))]))


def available_memory(root: Path = _ROOT) -> int | None:
    """Returns the memory in bytes that this process may use: the lower of the machine's and the container's limit.

    Returns None if it is unknown.
    """
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    bounds = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for version, group in _list_groups("memory", root):
        bound = _read_number(group / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        bounds += [bound] if bound is not None and bound > 0 else []
    return min(bounds)


def _read_shares(root: Path) -> Iterator[float]:
    """Yields the CPU quota in cores of each group of this process that has one; nothing if no group has a quota."""
    for version, group in _list_groups("cpu", root):
        if version == 2:
            numbers = _read(group / "cpu.max").split()
        else:
            numbers = [_read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip()]
        # "max", -1 and a missing file mean that there is no limit.
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers) and int(numbers[1]) > 0:
            yield int(numbers[0]) / int(numbers[1])


def _list_groups(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    """Yields the hierarchy's version (1 or 2) and the folder of each control group that limits this process.

    `controller`: `cpu` or `memory`. The process's own group comes first, then its parents up to the mount point.
    """
    paths = _read_paths(root)
    for mount in _read_mounts(root):
        if mount.version == 1 and controller not in mount.controllers:
            continue
        path = paths.get(controller if mount.version == 1 else "")
        if path is None:
            continue
        place = root / mount.place.lstrip("/")
        # In a container without a cgroup namespace, the path is that of the host, but only part of it is mounted.
        is_visible = path.is_relative_to(mount.group) and ".." not in path.parts
        inner = path.relative_to(mount.group) if is_visible else PurePosixPath()
        for folder in dict.fromkeys([place / inner, *(place / parent for parent in inner.parents)]):
            if folder.is_dir():
                yield mount.version, folder


def _read_paths(root: Path) -> dict[str, PurePosixPath]:
    """Reads /proc/self/cgroup: returns the path of this process's control group by the controller's name.

    The key "" has the group of version 2, where one group serves all controllers.
    """
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
    """Decodes octal escapes, which mountinfo uses for spaces, tabs, newlines and backslashes."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def _read_number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
