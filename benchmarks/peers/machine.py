"""Describes the machine and the versions of a run: processor, system, packages. The machine's name is left out."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import latimer_server
from latimer_server.config.resource_limits import available_cores, available_memory

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
_PACKAGES = ("torch", "ctranslate2", "grpcio", "protobuf", "sentencepiece", "numpy")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe_machine() -> dict[str, str]:
    """Returns the properties of the machine by name."""
    fields = _read_processor()
    flags = set(fields.get("flags", "").split())
    memory = available_memory()
    return {
        "processor": fields.get("model name", platform.machine()),
        "vector instructions": ", ".join(flag for flag in _FLAGS if flag in flags) or "none of those looked for",
        "cores": str(available_cores()),
        "caches": _read_caches(),
        "memory": f"{memory / 1e9:.0f} GB" if memory else "unknown",
        "system": f"{platform.system()} {platform.release()}",
    }


def describe_versions() -> dict[str, str]:
    """Returns the versions of the server, of Python and of the installed packages that the server uses."""
    found = {"latimer-server": _describe_source(), "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _describe_source() -> str:
    folder = Path(latimer_server.__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return f"{latimer_server.__version__} ({done.stdout.strip() or 'not from a repository'})"


def _read_processor() -> dict[str, str]:
    """Returns the fields that Linux reports for the first core; no fields on other systems."""
    if not sys.platform.startswith("linux"):
        return {}
    first = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _read_caches() -> str:
    found = []
    for folder in sorted(_CACHES.glob("index*")):
        level, kind, size = ((folder / name).read_text("ascii").strip() for name in ("level", "type", "size"))
        found.append(f"L{level}{kind[0].lower() if kind != 'Unified' else ''} {size}")
    return ", ".join(found) or "unknown"
