"""Detects a translation that is far too short or too long for its source. Counts code points.

The densities of languages were measured on the Debian Administrator's Handbook: by sentences for English and
Portuguese, by paragraphs for most others.
"""

from __future__ import annotations

import math

from latimer_server.core.languages import primary_subtag
from latimer_server.core.scripts import DENSE_LANGUAGES

# Code points of a text for each code point of its English translation.
_DENSITIES = {
    "ar": 0.84, "ca": 1.08, "cs": 0.97, "de": 1.16, "el": 1.12, "es": 1.09, "fa": 0.94, "fr": 1.11, "he": 0.80,
    "hr": 0.97, "id": 1.05, "it": 1.10, "ja": 0.50, "ko": 0.50, "nb": 1.01, "nl": 1.09, "pl": 1.07, "pt": 1.06,
    "ru": 1.05, "sv": 1.02, "tr": 0.98, "vi": 1.02, "yue": 0.31, "zh": 0.32,
}  # fmt: skip
# Languages measured by sentences. Translations between them get no slack.
_MEASURED = frozenset({"en", "pt"})
# Bounds on how far the logarithm of the actual length over the expected one may lie below or above 0: a constant, and a
# term that is divided by the expected length. Lengths are in code points of English. Measured for English and
# Portuguese. For other pairs a slack is added to both bounds, more of it for languages with a dense script.
_SHORTER = (0.38, 4.5)
_LONGER = (0.42, 6.0)
_SLACK = 0.12
_DENSE_SLACK = 0.35
# Code points of English. The bounds are never wider than at this length. If source and output are both shorter than
# twice this length, they are a word or two, and only a very large difference counts.
_MIN_LENGTH = 12
_EMPTY_LENGTH = 2


def has_odd_length(source: str, output: str, source_language: str, target_language: str) -> bool:
    """Returns True if `output` is so short or so long that text must be missing or made up.

    An empty output is too short for a source of two or more code points with a letter or digit. Languages are BCP-47
    codes.
    """
    source_base, target_base = primary_subtag(source_language), primary_subtag(target_language)
    size, length = len(source.strip()), len(output.strip())
    if not length:
        return size >= _EMPTY_LENGTH and any(c.isalnum() for c in source)
    expected = size / _DENSITIES.get(source_base, 1.0)
    actual = length / _DENSITIES.get(target_base, 1.0)
    slack = 0.0 if source_base in _MEASURED and target_base in _MEASURED else _SLACK
    if source_base in DENSE_LANGUAGES or target_base in DENSE_LANGUAGES:
        slack = _DENSE_SLACK
    if max(expected, actual) < _MIN_LENGTH * 2 and min(expected, actual) >= 1:
        return max(expected, actual) > 8 * (min(expected, actual) + 2)
    ratio = math.log(actual / expected) if expected else math.inf
    divisor = max(expected, _MIN_LENGTH)
    too_short = ratio < -(_SHORTER[0] + _SHORTER[1] / divisor + slack)
    return too_short or ratio > _LONGER[0] + _LONGER[1] / divisor + slack
