"""Writes the names of languages, scripts and regions of CLDR to clients/python/src/latimer/data/language_names.zip.

    make language-names       installs Babel, which carries CLDR, and runs this file

The archive has one JSON file for each language of display, with objects of names by code (`languages`, `scripts`,
`regions`), and `aliases.json`, codes that CLDR replaces, such as those of ISO 639-2 (`por`, `iw`). Languages for whose
speakers CLDR has fewer than 500 names are left out; English takes their place.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

from babel import Locale
from babel.core import get_global
from babel.localedata import locale_identifiers

TABLE = Path(__file__).resolve().parents[1] / "src/latimer/data/language_names.zip"
_LEAST_NAMES = 500
# Variants whose names differ from those of their language.
_VARIANTS = ("pt_PT", "zh_Hant")
# The scripts in which models write; a name such as "Serbian (Latin)" needs them.
_SCRIPTS = frozenset(
    ["Arab", "Beng", "Cyrl", "Deva", "Grek", "Guru", "Hans", "Hant", "Hebr", "Latn", "Mong", "Mtei", "Olck", "Tfng"]
)
# A fixed time, so that the same data give the same file.
_TIME = (2026, 11, 30, 0, 0, 0)


def collect_names(locale: Locale) -> dict[str, dict[str, str]]:
    """Returns the names that speakers of a language use."""
    return {
        "languages": {code.replace("_", "-"): name for code, name in sorted(locale.languages.items())},
        "scripts": {code: name for code, name in sorted(locale.scripts.items()) if code in _SCRIPTS},
        "regions": {code: name for code, name in sorted(locale.territories.items()) if len(code) == 2},
    }


def main() -> None:
    """Writes the archive, and prints its size."""
    identifiers = [name for name in locale_identifiers() if "_" not in name or name in _VARIANTS]
    locales = {name: Locale.parse(name) for name in sorted(identifiers) if name != "root"}
    chosen = {name: locale for name, locale in locales.items() if len(locale.languages) >= _LEAST_NAMES}
    aliases = {code: target.replace("_", "-") for code, target in sorted(get_global("language_aliases").items())}
    tables = {"aliases": aliases} | {name.replace("_", "-"): collect_names(found) for name, found in chosen.items()}
    TABLE.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(TABLE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, table in tables.items():
            text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
            archive.writestr(zipfile.ZipInfo(f"{name}.json", _TIME), text, zipfile.ZIP_DEFLATED)
    sys.stdout.write(f"{len(chosen)} languages of display, {TABLE.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
