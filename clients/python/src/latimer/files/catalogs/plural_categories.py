"""The plural categories of languages, of CLDR 48.2 (Unicode Technical Standard 35, part 3).

The table is `supplemental/plurals.json` of the npm package `cldr-core` 48.2.0, grouped by categories. Languages with
`one` and `other`, the most common pair, are left out.
"""

from __future__ import annotations

_LANGUAGES = {
    "zero one two few many other": "ar ars cy kw",
    "one few many other": "be cs lt pl ru sk uk",
    "zero one other": "blo cv ksh lag lv prg",
    "other": (
        "bm bo dz hnj id ig ii in ja jbo jv jw kde kea km ko lkt lo ms my nqo osa sah ses sg su th to tpi und vi wo yo "
        "yue zh"
    ),
    "one two few many other": "br ga gv mt sgs",
    "one few other": "bs hr mo ro sh shi sr",
    "one many other": "ca es fr it lld pt scn vec",
    "one two few other": "dsb gd hsb sl",
    "one two other": "he iu iw naq sat se sma smi smj smn sms",
}
_CATEGORIES = {code: names for names, codes in _LANGUAGES.items() for code in codes.split()}
# All categories, in the order of CLDR.
CATEGORIES = ("zero", "one", "two", "few", "many", "other")


def plural_categories(language: str) -> tuple[str, ...]:
    """Returns the plural categories of a language (BCP-47) in the order of CLDR, such as ("one", "other")."""
    primary = language.replace("_", "-").partition("-")[0].lower()
    return tuple(_CATEGORIES.get(primary, "one other").split())
