"""Warnings of results on standard error, by flag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from latimer.cli.messages import say

# What each warning means for the reader of a translation or summary.
_MEANINGS = {
    "OUTPUT_TRUNCATED": "the output may be incomplete",
    "REPETITION": "the output repeats itself",
    "COPIED_SOURCE": "the output is identical to the source",
    "WRONG_OUTPUT_LANGUAGE": "the output is not in the target language",
    "LENGTH_RATIO": "the output is implausibly long or short",
    "PLACEHOLDER_MISMATCH": "a placeholder or protected phrase is missing",
    "NUMBER_MISMATCH": "the numbers differ from those of the source",
    "GLOSSARY_MISS": "the translation of a glossary term is missing",
    "UNKNOWN_TOKENS": "the source has characters that the model does not know",
    "LOW_LANGUAGE_CONFIDENCE": "the language of the text is not sure; name it with --from",
    "UNSUPPORTED_CLAIM": "the summary states something that the text does not support",
}


def explain_flag(flag: str) -> str:
    """Returns the meaning of a warning in words; "" for one that only a newer server knows."""
    return _MEANINGS.get(flag, "")


def show_warnings(counts: Counter[str], places: Mapping[str, str] | None = None) -> None:
    """Prints each warning with its number. `places`: where the worst text of each warning is."""
    for flag, count in counts.most_common():
        known = [f"{count:,} times"] if count > 1 else []
        if place := (places or {}).get(flag):
            known.append(f"worst in {place}" if count > 1 else place)
        times = f" ({', '.join(known)})" if known else ""
        meaning = explain_flag(flag)
        say(f"warning: {flag}{times}{': ' if meaning else ''}{meaning}")
