"""What is to hold of an answer, one function for each invariant; shares no code with the server.

Each takes what the case says, the case and the answer, and gives the damage it finds, in words; nothing where
the invariant holds. `invariants` has them by name.
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

# A translation of the same words in other case may differ a little (names, an article).
_LEAST_LIKENESS = 60.0
# An inline element that holds more words than that holds its block.
_WRAPPED_WORDS = 3
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]*_]*(?=\s|$|<)")
_LOOP = re.compile(r"(?s)(\S.{0,60}?\S|\S)(?:[\s,.;:!?-]*\1){4,}")
_LEAKS = ("<unk>", "</s>", "<pad>", "⁇", "▁", "\ufffc", "\ufffd")


def check_keeps(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """Each string is there as often as in the source, and not run into a word that it did not touch."""
    found = []
    for text in wanted:
        before, after = case.content.count(text), answer.text.count(text)
        if not before:
            found.append(f"{text!r} is not in the source")  # a mistake in the case
        elif before != after:
            found.append(f"{text!r} {before} times before, {after} after")
        elif not _touches(case.content, text) and _touches(answer.text, text):
            found.append(f"{text!r} run into a word")
    return found


def check_order(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """The strings stand in this order."""
    del case
    places = [answer.text.find(text) for text in wanted]
    return [] if -1 not in places and places == sorted(places) else [f"not in order: {', '.join(wanted)}"]


def check_equals(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The output is exactly this."""
    del case
    return [] if answer.text == wanted else [f"{answer.text[:80]!r} is not {wanted[:80]!r}"]


def check_passthrough(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001 (what the case says)
    """The output is the input, with the note that says so, and without a warning."""
    del wanted
    if answer.text != case.content:
        return [f"became {answer.text[:80]!r}"]
    return [] if "PASSTHROUGH" in answer.flags else ["no PASSTHROUGH"]


def check_lines(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """As many lines, ended alike, each with its white space at both ends; empty ones where they were."""
    del wanted
    before, after = ([_frame(line) for line in text.splitlines(keepends=True)] for text in (case.content, answer.text))
    if len(before) != len(after):
        return [f"{len(before)} lines before, {len(after)} after"]
    return [f"line {n}: {a!r} became {b!r}" for n, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b]


def check_edges(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The white space and invisible characters before and after the text are the same."""
    del wanted
    before, after = _frame(case.content), _frame(answer.text)
    return [] if before == after else [f"edges {before!r} became {after!r}"]


def check_tags(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The same tags as they are written, nested alike; XML stays well-formed."""
    del wanted
    return compare_tags(case.content, answer.text, is_xml=case.text_format == "XML")


def check_markdown(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The same blocks in the same order, the same inline marks, link targets and code."""
    del wanted
    return compare_markdown(case.content, answer.text)


def check_wraps(wanted: Mapping[str, Any], case: Case, answer: Answer) -> list[str]:
    """Some element of this name holds this word (`a|b`: one of them; a list: each in some element), and little else."""
    del case
    elements = read_elements(answer.text)
    asked = [(tag, word) for tag, value in wanted.items() for word in ([value] if isinstance(value, str) else value)]
    return [
        f"<{tag}> wraps {elements.get(tag, [])}, not {word}"
        for tag, word in asked
        if not any(_has(text, word) and len(text.split()) <= _WRAPPED_WORDS for text in elements.get(tag, []))
    ]


def check_numbers(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The numbers of the output are those of the source, each as its language writes it."""
    del wanted
    lost, invented = compare_figures(case.content, answer.text, (case.source[:2], case.target[:2]))
    return ([f"lost {', '.join(lost)}"] if lost else []) + ([f"invented {', '.join(invented)}"] if invented else [])


def check_sentences(wanted: int, case: Case, answer: Answer) -> list[str]:
    """At least this many sentences."""
    del case
    count = len(_SENTENCE_END.findall(answer.text))
    return [] if count >= wanted else [f"{count} sentences of {wanted}"]


def check_length(wanted: Sequence[float], case: Case, answer: Answer) -> list[str]:
    """The output's length in code points over the input's, between two bounds."""
    ratio = len(answer.text) / max(1, len(case.content))
    return [] if wanted[0] <= ratio <= wanted[1] else [f"{ratio:.2f} times as long"]


def check_contains(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """Each word is there, in any case; `a|b` asks for one of them."""
    del case
    return [f"no {word}" for word in wanted if not _has(answer.text, word)]


def check_lacks(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """None of these is there."""
    del case
    return [f"has {word!r}" for word in wanted if _has(answer.text, word)]


def check_matches(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """Each regular expression is found; `^` and `$` are the edges of lines."""
    del case
    return [f"no match of {pattern}" for pattern in wanted if not re.search(pattern, answer.text, re.MULTILINE)]


def check_translated(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The output is not the input, nor most of its words."""
    del wanted
    before, after = (Counter(re.findall(r"[^\W\d_]{4,}", text.casefold())) for text in (case.content, answer.text))
    same = (before & after).total()
    return [] if after and same <= 0.5 * before.total() else [f"{same} of {before.total()} words as they were"]


def check_untouched(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """The output is the input to the last code point; whether it is flagged is not asked."""
    del wanted
    return [] if answer.text == case.content else [f"became {answer.text[:80]!r}"]


def check_casing(wanted: str, case: Case, answer: Answer) -> list[str]:
    """`upper`: all letters (but for 5% and what `keeps` names); `title`: the words of four letters and more
    begin with a capital; `sentence`: few capitals."""
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
    """The translation is like that of the same text in normal case, but for its case."""
    del case, wanted
    likeness = sacrebleu.sentence_chrf(answer.text.casefold(), [answer.normal.casefold()]).score
    return [] if likeness >= _LEAST_LIKENESS else [f"chrF {likeness:.0f} with {answer.normal[:80]!r}"]


def check_no_loop(wanted: bool, case: Case, answer: Answer) -> list[str]:  # noqa: FBT001
    """Nothing is said five times running that the source does not say three times running."""
    del wanted, case
    loop = _LOOP.search(answer.text)
    return [f"{loop[1]!r} again and again"] if loop else []


def check_glossary(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """Each target term is there, letter for letter but for the case of its first."""
    del case
    return [f"no {term}" for term in wanted if term[1:] not in answer.text or not _has(answer.text, term)]


def check_detected(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The language was told right (a region is no matter); `a|b`: one of them."""
    del case
    return [] if answer.detected.split("-")[0] in wanted.split("|") else [f"taken for {answer.detected or 'nothing'}"]


def check_resolved(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The target language that the server says it used (a region more is no matter)."""
    del case
    return [] if answer.target.split("-")[0] == wanted else [f"target is {answer.target!r}"]


def check_flags(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """One of these flags is raised."""
    del case
    return [] if answer.flags & set(wanted) else [f"none of {', '.join(wanted)}"]


def check_unflagged(wanted: Sequence[str], case: Case, answer: Answer) -> list[str]:
    """None of these flags is raised."""
    del case
    return [f"{flag} for nothing" for flag in wanted if flag in answer.flags]


def check_error(wanted: str, case: Case, answer: Answer) -> list[str]:
    """The item or the call is refused with this status or reason."""
    del case
    return [] if wanted in answer.error.split() else [f"{answer.error or 'no error'} instead of {wanted}"]


def check_seconds(wanted: float, case: Case, answer: Answer) -> list[str]:
    """The answer took no longer."""
    del case
    return [] if answer.seconds <= wanted else [f"{answer.seconds:.1f} seconds"]


def check_aligned(wanted: Sequence[Sequence[str]], case: Case, answer: Answer) -> list[str]:
    """The alignment links these words (source, target)."""
    del case
    return [f"{source} is not linked to {target}" for source, target in wanted if (source, target) not in answer.links]


def check_clean(case: Case, answer: Answer) -> list[str]:
    """No marker of the server or of the model shows, nor a character that nobody wrote. Asked of every answer."""
    before, after = _count_leaks(case.content), _count_leaks(answer.text)
    return [f"{leak!r} shows" for leak in after - before]


def check_spans(case: Case, answer: Answer) -> list[str]:
    """Every segment stands where it says. Asked of every answer."""
    del case
    return [
        f"segment {part.text[:40]!r} is not at {part.start}"
        for part in answer.parts
        if answer.text[part.start : part.end] != part.text
    ]


def _has(text: str, word: str) -> bool:
    """Whether one of the words of `a|b` stands in the text by itself, in any case."""
    return any(
        re.search(
            rf"(?<!\w){re.escape(one)}(?!\w)" if one[:1].isalnum() and one[-1:].isalnum() else re.escape(one),
            text,
            re.I,
        )
        for one in word.split("|")
    )


def _touches(text: str, part: str) -> bool:
    """Whether `part` anywhere touches a letter or digit that does not belong to it."""
    for match in re.finditer(re.escape(part), text):
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if before.isalnum() or after.isalnum():
            return True
    return False


def _frame(text: str) -> tuple[str, str]:
    """White space and invisible characters at both ends; all of a blank text is its beginning."""
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
