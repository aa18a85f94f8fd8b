"""Reads translation catalogues (GNU gettext) of programs: messages in English with their Portuguese translations."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polib

from benchmarks.corpus import CACHE, fetch_package
from benchmarks.quality.harm.parallel import Pair

# Debian packages and the kind of their messages.
_PACKAGES = {
    "nautilus-data": "software",
    "gnome-control-center-data": "software",
    "gnome-software-common": "software",
    "gnucash-common": "software",
    "vlc-l10n": "software",
    "wesnoth-1.16-httt": "dialogue",
    "wesnoth-1.16-ei": "dialogue",
}
_DJANGO = "5.2"


def read_catalogues() -> Iterator[Pair]:
    """Yields the messages of all catalogues in Brazilian Portuguese. Messages with a plural form are left out."""
    for package, kind in _PACKAGES.items():
        for path in sorted(fetch_package(package).rglob("pt_BR/LC_MESSAGES/*.mo")):
            yield from _read_messages(polib.mofile(str(path)), kind, package)
    with zipfile.ZipFile(_fetch_django()) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith("locale/pt_BR/LC_MESSAGES/django.po"):
                yield from _read_messages(polib.pofile(archive.read(name).decode()), "software", "django")


def _read_messages(catalogue: polib.MOFile | polib.POFile, kind: str, origin: str) -> Iterator[Pair]:
    for entry in catalogue.translated_entries():
        if entry.msgid and not entry.msgid_plural:
            yield Pair(entry.msgid.strip(), entry.msgstr.strip(), kind, origin)


def _fetch_django() -> Path:
    """Returns Django's wheel from the cache folder; pip downloads it if it is missing."""
    folder = CACHE / "django"
    if not list(folder.glob("*.whl")):
        print("fetching Django's wheel ...", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        subprocess.run([*command, f"django=={_DJANGO}"], check=True)
    return next(folder.glob("*.whl"))
