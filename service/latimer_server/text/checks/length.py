"""Whether a translation is far too short or too long for its source.

Pure; counts code points. How much longer one language is than another was measured on the Debian Administrator's
Handbook, sentence by sentence for English and Portuguese and paragraph by paragraph for most others.
"""

from __future__ import annotations

import math

from latimer_server.core.scripts import DENSE_LANGUAGES

# Code points that a text takes where it takes one in English.
_DENSITIES = {
    "ar": 0.84, "ca": 1.08, "cs": 0.97, "de": 1.16, "el": 1.12, "es": 1.09, "fa": 0.94, "fr": 1.11, "he": 0.80,
    "hr": 0.97, "id": 1.05, "it": 1.10, "ja": 0.50, "ko": 0.50, "nb": 1.01, "nl": 1.09, "pl": 1.07, "pt": 1.06,
    "ru": 1.05, "sv": 1.02, "tr": 0.98, "vi": 1.02, "yue": 0.31, "zh": 0.32,
}  # fmt: skip
_MEASURED = frozenset({"en", "pt"})
# How far the logarithm of the ratio may be from the usual: a constant and a part that shrinks with the length, in
# English code points. Measured for the pairs above; other pairs get the slack, dense scripts more.
_SHORTER = (0.38, 4.5)
_LONGER = (0.42, 6.0)
_SLACK = 0.12
_DENSE_SLACK = 0.35
# Shorter texts than this are a word or two: nothing can be told from their length.
_MIN_LENGTH = 12
_EMPTY_LENGTH = 2


def has_odd_length(source: str, output: str, source_language: str, target_language: str) -> bool:
    """Whether `output` has so few or so many code points that text must be missing or made up; an empty output for a
    source with letters always has."""
    mine, theirs = source_language.split("-", 1)[0].lower(), target_language.split("-", 1)[0].lower()
    size, length = len(source.strip()), len(output.strip())
    if not length:
        return size >= _EMPTY_LENGTH and any(c.isalnum() for c in source)
    wanted = size / _DENSITIES.get(mine, 1.0)
    given = length / _DENSITIES.get(theirs, 1.0)
    slack = 0.0 if mine in _MEASURED and theirs in _MEASURED else _SLACK
    if mine in DENSE_LANGUAGES or theirs in DENSE_LANGUAGES:
        slack = _DENSE_SLACK
    if max(wanted, given) < _MIN_LENGTH * 2 and min(wanted, given) >= 1:
        return max(wanted, given) > 8 * (min(wanted, given) + 2)
    ratio = math.log(given / wanted) if wanted else math.inf
    base = max(wanted, _MIN_LENGTH)
    return ratio < -(_SHORTER[0] + _SHORTER[1] / base + slack) or ratio > _LONGER[0] + _LONGER[1] / base + slack
