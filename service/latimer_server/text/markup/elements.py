"""Classifies elements by name and attributes: those that end a block, and those that are not translated.

Names are those of HTML. XML uses them as a default, since its names may mean anything; `ignore_tags` adds to them.
"""

from __future__ import annotations

from collections.abc import Collection

from latimer_server.text.markup.tags import Tag, read_attributes

# Elements shown as a block of their own, or nearly so. The text before and after such an element is translated
# separately.
_BLOCK_NAMES = """
    address article aside base blockquote body button caption center col colgroup datalist dd details dialog dir div
    dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html label
    legend li link listing main menu meta nav noframes noscript ol optgroup option p param plaintext pre search section
    select slot source summary table tbody td template tfoot th thead title tr track ul video audio xmp
"""
BLOCKS = frozenset(_BLOCK_NAMES.split())
# Elements that have neither content nor an end tag.
_VOID_NAMES = "area base br col embed frame hr img input link meta param source track wbr"
VOIDS = frozenset(_VOID_NAMES.split())
# Code, formulas, drawings and the readings of East Asian words (ruby), which are not translated.
_UNTOUCHED_NAMES = (
    "code kbd samp var tt math svg pre listing plaintext script style textarea xmp iframe noembed noframes rt rp"
)
UNTOUCHED = frozenset(_UNTOUCHED_NAMES.split())


def is_untranslated(source: str, tag: Tag, ignored: Collection[str]) -> bool:
    """Returns True if the element that begins with this start tag is not translated.

    Its name decides (in `ignored`, or of code, formulas and drawings), or an attribute: `translate="no"`,
    `its:translate="no"`, `translatable="false"` or the class `notranslate`.
    """
    if tag.name in ignored or local_name(tag.name) in UNTOUCHED:
        return True
    written = source[tag.start : tag.end].lower()
    if "translat" not in written:
        return False
    attributes = read_attributes(source, tag)
    if "notranslate" in attributes.get("class", "").lower().split():
        return True
    says_no = attributes.get("translate", attributes.get("its:translate", "yes")).strip().lower() == "no"
    return says_no or attributes.get("translatable", "true").strip().lower() == "false"


def local_name(name: str) -> str:
    """Returns the name of an element without the prefix of its namespace."""
    return name.rpartition(":")[2]
