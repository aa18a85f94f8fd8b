"""The flags that are warnings, and their meanings."""

from __future__ import annotations

from collections.abc import Iterable

# The flags that say what the server did. The comments of the contract's enum Flag call them notes.
NOTES = frozenset({"PASSTHROUGH", "PIVOTED", "SEGMENT_SPLIT", "REPETITION_REPAIRED", "MARKUP_REPAIRED", "CACHED"})


def select_warnings(flags: Iterable[str]) -> tuple[str, ...]:
    """Returns the warnings among the names of flags. A flag that only a newer server knows is one."""
    return tuple(flag for flag in flags if flag not in NOTES)


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
    "MISSING_TEXT": "words of the text in a row have no words in the translation",
    "UNKNOWN_WORD": "a word is invented, or left as it was in the text",
}


def explain_flag(flag: str) -> str:
    """Returns the meaning of a warning in words; "" for one that only a newer server knows."""
    return _MEANINGS.get(flag, "")
