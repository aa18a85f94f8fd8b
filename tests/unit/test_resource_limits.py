"""Tests of reading the limits on cores and memory of containers, from files as the kernel writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from latimer_server.config.resource_limits import available_cores, available_memory

V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU = "32 31 0:29 {group} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "33 31 0:30 {group} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
OTHERS = "21 23 0:20 / /proc rw,relatime - proc proc rw\n23 1 254:0 / / rw shared:1 - ext4 /dev/vda rw"


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def write(root: Path, mounts: str, groups: str, files: Mapping[str, str]) -> Path:
    """Writes a root folder with `/proc/self/mountinfo`, `/proc/self/cgroup` and files below `/sys/fs/cgroup`."""
    named = {"proc/self/mountinfo": f"{OTHERS}\n{mounts}\n", "proc/self/cgroup": f"{groups}\n"}
    for path, text in {**named, **{f"sys/fs/cgroup/{path}": text for path, text in files.items()}}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("0 100000", 1),
        ("1600000 100000", 8),
        ("100000 0", 8),
        ("garbage", 8),
        ("", 8),
    ],
)
def test_version_2_in_a_cgroup_namespace(tmp_path: Path, quota: str, cores: int) -> None:
    root = write(tmp_path, V2, "0::/", {"cpu.max": quota + "\n"})
    assert available_cores(root) == cores


def test_version_2_takes_the_least_limit_of_all_parent_groups(tmp_path: Path) -> None:
    files = {
        "kubepods/cpu.max": "600000 100000\n",
        "kubepods/pod1/cpu.max": "300000 100000\n",
        "kubepods/pod1/c1/cpu.max": "max 100000\n",
        "kubepods/pod2/cpu.max": "100000 100000\n",
        "kubepods/pod1/memory.max": "268435456\n",
        "kubepods/pod1/c1/memory.max": "max\n",
    }
    root = write(tmp_path, V2, "0::/kubepods/pod1/c1", files)
    assert available_cores(root) == 3
    assert available_memory(root) == 256 << 20


@pytest.mark.parametrize(
    ("quota", "period", "cores"), [("-1", "100000", 8), ("250000", "100000", 3), ("50000", "100000", 1), ("", "", 8)]
)
def test_version_1_by_quota_and_period(tmp_path: Path, quota: str, period: str, cores: int) -> None:
    files = {"cpu,cpuacct/cpu.cfs_quota_us": quota + "\n", "cpu,cpuacct/cpu.cfs_period_us": period + "\n"}
    root = write(tmp_path, V1_CPU.format(group="/"), "4:memory:/\n2:cpu,cpuacct:/\n1:name=systemd:/", files)
    assert available_cores(root) == cores


def test_version_1_in_a_nested_group(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "200000\n",
        "cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/docker/abc/memory.limit_in_bytes": "134217728\n",
    }
    mounts = "\n".join([V1_CPU.format(group="/"), V1_MEMORY.format(group="/")])
    root = write(tmp_path, mounts, "3:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc", files)
    assert available_cores(root) == 2
    assert available_memory(root) == 128 << 20


@pytest.mark.parametrize("group", ["/docker/abc", "/elsewhere"])
def test_version_1_with_the_path_of_the_host_and_a_mounted_part_of_it(tmp_path: Path, group: str) -> None:
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
    root = write(tmp_path, V1_CPU.format(group=group), "2:cpu,cpuacct:/docker/abc", files)
    assert available_cores(root) == 3


def test_a_group_outside_of_the_namespace_counts_as_the_mounted_one(tmp_path: Path) -> None:
    root = write(tmp_path, V2, "0::/../other", {"cpu.max": "200000 100000\n"})
    assert available_cores(root) == 2


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    mounts = "\n".join([V1_CPU.format(group="/"), V2.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")])
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "unified/cgroup.procs": "",
    }
    root = write(tmp_path, mounts, "2:cpu,cpuacct:/\n0::/", files)
    assert available_cores(root) == 4


def test_a_mount_point_with_spaces_in_its_name(tmp_path: Path) -> None:
    mounts = V2.replace("/sys/fs/cgroup ", r"/sys/fs/cgroup/my\040groups ")
    root = write(tmp_path, mounts, "0::/", {"my groups/cpu.max": "100000 100000\n"})
    assert available_cores(root) == 1


def test_a_smaller_cpu_affinity_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert available_cores(write(tmp_path, V2, "0::/", {"cpu.max": "400000 100000\n"})) == 1


def test_without_these_files_the_whole_machine_is_available(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == 8
    assert available_memory(tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_memory_in_version_2_at_the_root_of_a_namespace(tmp_path: Path) -> None:
    assert available_memory(write(tmp_path, V2, "0::/", {"memory.max": "268435456\n"})) == 256 << 20
    assert (available_memory(write(tmp_path, V2, "0::/", {"memory.max": "max\n"})) or 0) > 256 << 20
