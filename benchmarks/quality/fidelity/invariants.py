"""Maps the names of invariants to their checks and to the flags that report their damage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.quality.fidelity import checks
from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.cases import Case


@dataclass(frozen=True)
class Invariant:
    """An invariant of an answer: its check and the flags that report its damage. `strict`: damage without a flag fails
    the suite."""

    check: Callable[[Any, Case, Answer], list[str]]
    named_by: frozenset[str] = frozenset()
    strict: bool = False


_WRONG_WORDS = frozenset({"COPIED_SOURCE", "WRONG_OUTPUT_LANGUAGE", "UNKNOWN_WORD"})
_PLACEHOLDER = frozenset({"PLACEHOLDER_MISMATCH"})
_LENGTH = frozenset({"LENGTH_RATIO", "OUTPUT_TRUNCATED"})
INVARIANTS: Mapping[str, Invariant] = {
    "keeps": Invariant(checks.check_keeps, _PLACEHOLDER, strict=True),
    "order": Invariant(checks.check_order, _PLACEHOLDER),
    "equals": Invariant(checks.check_equals),
    "passthrough": Invariant(checks.check_passthrough),
    "untouched": Invariant(checks.check_untouched),
    "lines": Invariant(checks.check_lines),
    "edges": Invariant(checks.check_edges),
    "spaces": Invariant(checks.check_spaces),
    "pairs": Invariant(checks.check_pairs),
    "tags": Invariant(checks.check_tags, _PLACEHOLDER, strict=True),
    "markdown": Invariant(checks.check_markdown, _PLACEHOLDER, strict=True),
    "wraps": Invariant(checks.check_wraps, frozenset({"MARKUP_REPAIRED"})),
    "numbers": Invariant(checks.check_numbers, frozenset({"NUMBER_MISMATCH"}), strict=True),
    "sentences": Invariant(checks.check_sentences, _LENGTH),
    "length": Invariant(checks.check_length, _LENGTH | {"REPETITION"}),
    "contains": Invariant(checks.check_contains, _WRONG_WORDS | _LENGTH),
    "lacks": Invariant(checks.check_lacks, _WRONG_WORDS),
    "matches": Invariant(checks.check_matches),
    "translated": Invariant(checks.check_translated, _WRONG_WORDS),
    "casing": Invariant(checks.check_casing),
    "as_normal": Invariant(checks.check_as_normal, _WRONG_WORDS),
    "no_loop": Invariant(checks.check_no_loop, frozenset({"REPETITION"})),
    "glossary": Invariant(checks.check_glossary, frozenset({"GLOSSARY_MISS"})),
    "detected": Invariant(checks.check_detected, frozenset({"LOW_LANGUAGE_CONFIDENCE"})),
    "resolved": Invariant(checks.check_resolved),
    "flags": Invariant(checks.check_flags),
    "unflagged": Invariant(checks.check_unflagged),
    "error": Invariant(checks.check_error),
    "seconds": Invariant(checks.check_seconds),
    "aligned": Invariant(checks.check_aligned),
}
# Checked on every answer that is a translation.
ALWAYS: Mapping[str, Invariant] = {
    "clean": Invariant(lambda _, case, answer: checks.check_clean(case, answer), frozenset({"UNKNOWN_TOKENS"})),
    "spans": Invariant(lambda _, case, answer: checks.check_spans(case, answer)),
}
