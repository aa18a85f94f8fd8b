"""Checks the invariants of an answer, one function for each. Shares no code with the server.

Each function takes the argument of the case, the case and the answer. It returns descriptions of the damage, and an
empty list if the invariant holds. `invariants` maps names to these functions.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sacrebleu

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.cases import Case
from benchmarks.quality.fidelity.figures import compare_figures
from benchmarks.quality.fidelity.structure import compare_markdown, compare_tags, read_elements

# chrF. Translations of the same words in different case may differ a little, in names or an article.
_LEAST_LIKENESS = 60.0
# An inline element with more words than this counts as moved around the whole block.
_WRAPPED_WORDS = 3
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]*_]*(?=\s|$|<)")
_LOOP = re.compile(r"(?s)(\S.{0,60}?\S|\S)(?:[\s,.;:!?-]*\1){4,}")
_SPACES = re.compile(r"[^\S\r\n]{2,}")
# Brackets, and quotation marks of any form: pairs may change their form, but not their number.
_BRACKETS = "()[]"
_QUOTES = frozenset('"“”„«»')
_LEAKS = ("<unk>", "</s>", "<pad>", "⁇", "▁", "\ufffc", "\ufffd")


def check_keeps(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """Each string occurs as often as in the source, and is not joined to a word that it did not touch."""
    found = []
    for text in wanted:
        before, after = case.content.count(text), answer.text.count(text)
        if not before:
            found.append(f"{text!r} is not in the source")  # the case itself is wrong
        elif before != after:
            found.append(f"{text!r} {before} times before, {after} after")
        elif not _touches(case.content, text) and _touches(answer.text, text):
            found.append(f"{text!r} is joined to a word")
    return found


def check_order(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """The strings occur in this order."""
    del case
    places = [answer.text.find(text) for text in wanted]
    return [] if -1 not in places and places == sorted(places) else [f"not in order: {', '.join(wanted)}"]


def check_equals(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The output is exactly this."""
    del case
    return [] if answer.text == wanted else [f"{answer.text[:80]!r} is not {wanted[:80]!r}"]


def check_passthrough(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001 (the argument of the case)
    """The output equals the input and carries the flag PASSTHROUGH."""
    del wanted
    if answer.text != case.content:
        return [f"became {answer.text[:80]!r}"]
    return [] if "PASSTHROUGH" in answer.flags else ["no PASSTHROUGH"]


def check_lines(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """Every line keeps its line ending and the white space at both ends; empty lines keep their place."""
    del wanted
    before, after = ([_frame(line) for line in text.splitlines(keepends=True)] for text in (case.content, answer.text))
    if len(before) != len(after):
        return [f"{len(before)} lines before, {len(after)} after"]
    return [f"line {n}: {a!r} became {b!r}" for n, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b]


def check_edges(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The white space and invisible characters at both ends of the text are kept."""
    del wanted
    before, after = _frame(case.content), _frame(answer.text)
    return [] if before == after else [f"edges {before!r} became {after!r}"]


def check_spaces(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """Every line keeps its runs of two or more spaces, in their order."""
    del wanted
    before, after = ([_SPACES.findall(line) for line in text.splitlines()] for text in (case.content, answer.text))
    if len(before) != len(after):
        return [f"{len(before)} lines before, {len(after)} after"]
    return [
        f"line {number}: runs of {[len(run) for run in old]} spaces became {[len(run) for run in new]}"
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1)
        if old != new
    ]


def check_pairs(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The output has as many brackets of each kind and as many double quotation marks, of any form, as the source."""
    del wanted
    before, after = (
        [*(text.count(c) for c in _BRACKETS), sum(c in _QUOTES for c in text)] for text in (case.content, answer.text)
    )
    names = [*_BRACKETS, "quotation marks"]
    return [
        f"{old} {name} before, {new} after" for name, old, new in zip(names, before, after, strict=True) if old != new
    ]


def check_tags(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The tags are kept character by character, with the same nesting; XML stays well-formed."""
    del wanted
    return compare_tags(case.content, answer.text, is_xml=case.text_format == "XML")


def check_markdown(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The blocks and their order, the inline marks, the link targets and the code are kept."""
    del wanted
    return compare_markdown(case.content, answer.text)


def check_wraps(wanted: Mapping[str, Any], case: Case, answer: Answer) -> list[str]:
    """An element of this name contains this word and at most two more. `a|b`: either word. A list: each word in some
    element."""
    del case
    elements = read_elements(answer.text)
    pairs = [(tag, word) for tag, value in wanted.items() for word in ([value] if isinstance(value, str) else value)]
    return [
        f"<{tag}> wraps {elements.get(tag, [])}, not {word}"
        for tag, word in pairs
        if not any(_has(text, word) and len(text.split()) <= _WRAPPED_WORDS for text in elements.get(tag, []))
    ]


def check_numbers(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The output has the numbers of the source, each in the notation of its language."""
    del wanted
    lost, invented = compare_figures(case.content, answer.text, (case.source[:2], case.target[:2]))
    return ([f"lost {', '.join(lost)}"] if lost else []) + ([f"invented {', '.join(invented)}"] if invented else [])


def check_sentences(wanted: int, case: Case, answer: Answer) -> list[str]:
    """The output has at least this number of sentences."""
    del case
    count = len(_SENTENCE_END.findall(answer.text))
    return [] if count >= wanted else [f"{count} sentences of {wanted}"]


def check_length(wanted: Sequence[float], case: Case, answer: Answer) -> list[str]:
    """The ratio of the output's length to the input's, in code points, is between two bounds."""
    ratio = len(answer.text) / max(1, len(case.content))
    return [] if wanted[0] <= ratio <= wanted[1] else [f"{ratio:.2f} times as long"]


def check_contains(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """The output contains each word, in any case; `a|b` means either word."""
    del case
    return [f"no {word}" for word in wanted if not _has(answer.text, word)]


def check_lacks(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """The output contains none of these words."""
    del case
    return [f"has {word!r}" for word in wanted if _has(answer.text, word)]


def check_matches(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """Each regular expression matches in the output; `^` and `$` match at line ends."""
    del case
    return [f"no match of {pattern}" for pattern in wanted if not re.search(pattern, answer.text, re.MULTILINE)]


def check_translated(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """At most half of the input's words of four letters and more are in the output."""
    del wanted
    before, after = (Counter(re.findall(r"[^\W\d_]{4,}", text.casefold())) for text in (case.content, answer.text))
    same = (before & after).total()
    return [] if after and same <= 0.5 * before.total() else [f"{same} of {before.total()} words unchanged"]


def check_untouched(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The output equals the input in every code point, with or without flags."""
    del wanted
    return [] if answer.text == case.content else [f"became {answer.text[:80]!r}"]


def check_casing(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The output has this casing. `upper`: 95% of the letters outside `keeps` are capitals. `title`: 80% of the words
    of four letters and more begin with a capital. `sentence`: less than 30% of the letters are capitals."""
    text = answer.text
    for kept in case.checks.get("keeps", ()):
        text = text.replace(kept, " ")
    cased = [c for c in text if c.isupper() or c.islower()]
    upper = sum(c.isupper() for c in cased) / max(1, len(cased))
    words = [word for word in re.findall(r"[^\W\d_]+", text) if len(word) >= 4]
    begun = sum(word[0].isupper() for word in words) / max(1, len(words))
    holds = {"upper": upper >= 0.95, "title": begun >= 0.8 and upper < 0.6, "sentence": upper < 0.3}[wanted]
    return [] if holds else [f"not {wanted}: {upper:.0%} capitals, {begun:.0%} of the words begin with one"]


def check_as_normal(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The translation resembles that of the same text in normal case, apart from its casing."""
    del case, wanted
    likeness = sacrebleu.sentence_chrf(answer.text.casefold(), [answer.normal.casefold()]).score
    return [] if likeness >= _LEAST_LIKENESS else [f"chrF {likeness:.0f} with {answer.normal[:80]!r}"]


def check_no_loop(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """No text occurs five times in a row."""
    del wanted, case
    loop = _LOOP.search(answer.text)
    return [f"{loop[1]!r} repeated"] if loop else []


def check_glossary(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """The output contains each target term exactly, apart from the case of its first letter."""
    del case
    return [f"no {term}" for term in wanted if term[1:] not in answer.text or not _has(answer.text, term)]


def check_detected(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The detected language is right, apart from its region; `a|b`: either language."""
    del case
    return [] if answer.detected.split("-")[0] in wanted.split("|") else [f"detected {answer.detected or 'nothing'}"]


def check_resolved(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The reported target language is right, apart from its region."""
    del case
    return [] if answer.target.split("-")[0] == wanted else [f"target is {answer.target!r}"]


def check_flags(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """At least one of these flags is raised."""
    del case
    return [] if answer.flags & set(wanted) else [f"none of {', '.join(wanted)}"]


def check_unflagged(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """None of these flags is raised."""
    del case
    return [f"{flag} without reason" for flag in wanted if flag in answer.flags]


def check_error(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The content or the call is refused with this status or reason."""
    del case
    return [] if wanted in answer.error.split() else [f"{answer.error or 'no error'} instead of {wanted}"]


def check_seconds(wanted: float, case: Case, answer: Answer) -> list[str]:
    """The answer took at most this number of seconds."""
    del case
    return [] if answer.seconds <= wanted else [f"{answer.seconds:.1f} seconds"]


def check_aligned(wanted: Sequence[Sequence[str]], case: Case, answer: Answer) -> list[str]:
    """The alignment links these pairs of words (source, target)."""
    del case
    return [f"{source} is not linked to {target}" for source, target in wanted if (source, target) not in answer.links]


def check_clean(case: Case, answer: Answer) -> list[str]:
    """The output has no mask of the server, no special token of the model, and no new control or private-use character.
    Checked on every answer."""
    before, after = _count_leaks(case.content), _count_leaks(answer.text)
    return [f"{leak!r} leaked into the output" for leak in after - before]


def check_spans(case: Case, answer: Answer) -> list[str]:
    """Every segment stands at its reported span. Checked on every answer."""
    del case
    return [
        f"segment {part.text[:40]!r} is not at {part.start}"
        for part in answer.parts
        if answer.text[part.start : part.end] != part.text
    ]


def _has(text: str, word: str) -> bool:
    """True if one of the words of `a|b` stands in the text as a whole word, in any case."""
    return any(
        re.search(
            rf"(?<!\w){re.escape(form)}(?!\w)" if form[:1].isalnum() and form[-1:].isalnum() else re.escape(form),
            text,
            re.I,
        )
        for form in word.split("|")
    )


def _touches(text: str, part: str) -> bool:
    """True if an occurrence of `part` directly follows or precedes a letter or digit."""
    for match in re.finditer(re.escape(part), text):
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if before.isalnum() or after.isalnum():
            return True
    return False


def _frame(text: str) -> tuple[str, str]:
    """Returns the white space and invisible characters at both ends; a blank text counts as its start."""
    end = len(text)
    start = next((i for i, c in enumerate(text) if not _is_blank(c)), end)
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return text[:start], text[end:]


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in ("Cf", "Cc")


def _count_leaks(text: str) -> Counter[str]:
    counts = Counter({leak: text.count(leak) for leak in _LEAKS if leak in text})
    counts.update(c for c in text if unicodedata.category(c) in ("Co", "Cn") or (ord(c) < 32 and c not in "\t\n\r"))
    return counts
