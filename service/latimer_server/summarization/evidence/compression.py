"""Whether a sentence is another one with words left out, and only such words as can be left out of a true
sentence without making it untrue.

That a generated sentence recombines nothing follows from the order of its words; that what it leaves out changes
nothing, from the rules below, which refuse in doubt. Pure; the rules are for English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from latimer_server.summarization.evidence import english
from latimer_server.summarization.evidence.words import Token, list_words, split_tokens

_MIN_WORDS = 5
_MAX_TOKENS = 400
_MAX_TITLE_WORDS = 5
_YEAR = re.compile(r"(1[5-9]|20)\d\d")
_COMMAS = frozenset(",;–—")


def find_compression(
    written: Sequence[str], source: str, kept: frozenset[str] = frozenset(), language: str = "en"
) -> str:
    """The shortest of several sentences that is a compression of `source` and still has of its words those that must
    be `kept`; "" where there is none."""
    wanted = kept & list_words(source)
    found = [text for text in written if wanted <= list_words(text) and is_compression(text, source, language)]
    return min(found, key=lambda text: len(text.split()), default="")


def is_compression(sentence: str, source: str, language: str = "en") -> bool:
    """Whether `sentence` is `source` with words left out that can be left out.

    In languages without word lists only what stands in brackets can. A sentence is no compression of itself.
    """
    mine, theirs = split_tokens(sentence), split_tokens(source)
    size = sum(token.is_word for token in mine)
    if not _MIN_WORDS <= size < sum(token.is_word for token in theirs) or len(theirs) > _MAX_TOKENS:
        return False
    if not sentence.rstrip("\"'”’»)").endswith((".", "!", "?", "。", "…")) or _holds_several(sentence):
        return False
    return _Alignment(theirs, mine, in_english=language.split("-")[0] == "en").exists()


def _holds_several(sentence: str) -> bool:
    return re.search(r"[.!?](?=\s+[A-Z“\"])", sentence.rstrip()[:-1]) is not None


class _Alignment:
    """The ways to find a sentence's words in its source, in order, leaving out only what can be left out."""

    def __init__(self, theirs: Sequence[Token], mine: Sequence[Token], *, in_english: bool) -> None:
        self._theirs = theirs
        self._mine = [token for token in mine if token.is_word]
        self._marks = _list_marks(mine)
        self._kept = frozenset(token.lower for token in self._mine)
        self._in_english = in_english

    def exists(self) -> bool:
        """Whether there is one."""
        # The places in the source where the words so far can end, and whether a title went whose second comma may.
        reachable = {(-1, False)}
        for word, marks in zip(self._mine, self._marks, strict=False):
            places = [index for index, token in enumerate(self._theirs) if _is_same(word, token)]
            steps = (self._skip(*end, place, marks) for place in places for end in reachable if end[0] < place)
            reachable = {step for step in steps if step}
            if not reachable:
                return False
        return any(self._skip(*end, len(self._theirs), self._marks[-1]) for end in reachable)

    def _skip(self, before: int, titled: bool, after: int, marks: Sequence[str]) -> tuple[int, bool] | None:  # noqa: FBT001
        """Where the words so far end if what stands between two places goes; None if it can't, or if marks came in
        its stead that do not stand there."""
        gap = _Gap(self._theirs, before, after, self._kept)
        if not gap.words:
            if marks == gap.marks:
                return after, titled
            # `[The minister,] Lind[,] said`
            return (after, False) if titled and gap.marks == [","] and not marks else None
        if not set(marks) <= set(gap.marks):
            return None
        allowed = _may_leave_out(gap) if self._in_english else _is_aside(gap)
        return (after, gap.commas == 1 and not marks and _is_title(gap)) if allowed else None


def _list_marks(tokens: Sequence[Token]) -> list[list[str]]:
    """The marks before each word, and those behind the last."""
    marks: list[list[str]] = [[]]
    for token in tokens:
        if token.is_word:
            marks.append([])
        else:
            marks[-1].append(token.text)
    return marks


def _is_same(mine: Token, other: Token) -> bool:
    if not other.is_word or mine.lower != other.lower:
        return False
    return mine.first or other.first or mine.text[0].isupper() == other.text[0].isupper()


@dataclass(frozen=True)
class _Gap:
    """What stands in the source between two kept words at `before` and `after`; -1 and the length stand for
    the sentence's ends. `kept`: all words that stay, in lower case."""

    source: Sequence[Token]
    before: int
    after: int
    kept: frozenset[str]

    @cached_property
    def tokens(self) -> Sequence[Token]:
        return self.source[self.before + 1 : self.after]

    @cached_property
    def words(self) -> list[Token]:
        return [token for token in self.tokens if token.is_word]

    @cached_property
    def marks(self) -> list[str]:
        return [token.text for token in self.tokens if not token.is_word]

    @cached_property
    def lowered(self) -> frozenset[str]:
        return frozenset(token.lower for token in self.words)

    @property
    def opener(self) -> str:
        return self.words[0].lower

    @property
    def leads(self) -> bool:
        return self.before == -1

    @property
    def trails(self) -> bool:
        return self.after == len(self.source)

    @property
    def commas(self) -> int:
        return sum(token.text in _COMMAS for token in self.tokens)

    @property
    def is_bracketed(self) -> bool:
        brackets = [mark for mark in self.marks if mark in "()"]
        return brackets == ["(", ")"] and self.tokens[0].text == "(" and self.tokens[-1].text == ")"

    @property
    def narrows(self) -> bool:
        """Whether what stays is such that a place, a time or a reason limits it: `never`, `the highest`."""
        return bool(self.kept & english.SENSITIVE) or any(word.endswith(("est", "n't")) for word in self.kept)


def _is_aside(gap: _Gap) -> bool:
    """A number, a year, an acronym in brackets: all that can be told without knowing the language."""
    return gap.is_bracketed and all(token.is_number or token.text.isupper() for token in gap.words)


def _may_leave_out(gap: _Gap) -> bool:
    if gap.is_bracketed:
        return not gap.lowered & (english.CONDITIONS | english.NEGATIONS | english.HEDGES | english.ATTRIBUTIONS)
    if gap.lowered & english.CONDITIONS or any(token.text in '"“”' for token in gap.tokens):
        return False
    if gap.trails and gap.tokens[0].text in _COMMAS:
        return _is_last_clause(gap)
    if gap.leads and not gap.trails:
        return _is_opening(gap)
    if gap.tokens[0].text in _COMMAS and gap.tokens[-1].text in _COMMAS:
        return _is_middle_clause(gap)
    return not gap.lowered & (english.NEGATIONS | english.HEDGES | english.ATTRIBUTIONS) and _is_phrase(gap)


def _is_middle_clause(gap: _Gap) -> bool:
    """`, who scored twice,` before what its sentence says."""
    if any(_YEAR.fullmatch(token.text) for token in gap.words):
        return False  # `Thorne, who mapped it in 1894, concluded`: what he held then
    following = "" if gap.trails else gap.source[gap.after].lower
    return gap.opener in english.RELATIVE and gap.commas == 2 and following not in english.CONTINUATIONS


def _is_phrase(gap: _Gap) -> bool:
    """`because staff were ill`, `quickly`, `on Saturday`, `the substitute` before a name."""
    if gap.trails and gap.opener in english.BARE_OPENERS and not gap.commas:
        return not gap.narrows
    if all(_is_filler(token) for token in gap.words):
        following = "" if gap.trails else gap.source[gap.after].lower
        if gap.narrows and not gap.lowered <= english.FILLERS:
            return False  # `not paid to him personally`
        return following not in ("few", "little", "lot", "number", "only") and not (gap.trails and gap.commas)
    return (_is_place_or_time(gap) and not gap.narrows) or (not gap.trails and _is_title(gap))


def _is_last_clause(gap: _Gap) -> bool:
    """`, although three members abstained.` What it is about stands whole before it."""
    if gap.kept & {"either", "neither", "both", "whether", "only"}:
        return False
    if gap.lowered & (english.NEGATIONS | english.DUTIES):
        return False  # `He was to resign, but did not.` `With consent, which shall not be withheld.`
    if gap.lowered & (english.ATTRIBUTIONS | english.HEDGES) and (gap.opener == "as" or gap.opener.endswith("ing")):
        return False  # `He took bribes, as his rivals alleged.`
    return gap.opener in english.CLAUSE_OPENERS or (gap.opener.endswith("ing") and len(gap.opener) > 5)


def _is_opening(gap: _Gap) -> bool:
    """`After the flood, the council ...`, `But ...`, `The mayor, Anna Lind, ...`."""
    if gap.source[gap.after].lower in english.PRONOUNS or gap.lowered & english.ATTRIBUTIONS:
        return False
    if gap.lowered <= english.CONNECTIVES:
        return True
    if gap.lowered & (english.NEGATIONS | english.HEDGES):
        return False
    if gap.tokens[-1].text == "," and gap.commas == 1:
        if gap.opener in english.EVENTS:
            return not gap.narrows
        if _is_place_or_time(gap):
            return not gap.narrows
    return _is_title(gap)


def _is_filler(token: Token) -> bool:
    return token.lower in english.FILLERS or token.lower in english.MANNERS


def _is_place_or_time(gap: _Gap) -> bool:
    """`on Saturday`, `at Brook Lane`, `in March 2024`: prepositions with names, months and years only."""
    if gap.opener not in english.PLACE_OR_TIME or any(not token.is_word for token in gap.tokens[:-1]):
        return False
    if not gap.trails:
        following = gap.source[gap.after]
        if following.is_name or following.is_number or following.lower in ("and", "or"):
            return False  # `in Paris and Rome`, `at Brook Lane Stadium`
        if following.lower == "to" and gap.opener in ("from", "in"):
            return False  # `from March to May`
    said = [token for token in gap.words if token.lower not in english.PLACE_OR_TIME | {"the"}]
    return bool(said) and all(_is_when_or_where(gap.words, index) for index in range(len(gap.words)))


def _is_when_or_where(words: Sequence[Token], index: int) -> bool:
    token = words[index]
    if token.is_number:
        near = (*words[max(0, index - 1) : index], *words[index + 1 : index + 2])
        month = any(other.lower in english.TIMES and other.text[0].isupper() for other in near)
        return month or _YEAR.fullmatch(token.text) is not None
    return token.is_name or token.lower in english.PLACE_OR_TIME | english.TIMES | {"the"}


def _is_title(gap: _Gap) -> bool:
    """What somebody is, before the name: `by [the substitute] Leon Hartigan`, `[The mayor,] Anna Lind, said`."""
    name = gap.source[gap.after]
    if not (name.is_word and name.text[0].isupper()) or len(gap.words) > _MAX_TITLE_WORDS:
        return False
    if gap.opener not in ("the", "a", "an") or any(token.is_name or token.is_number for token in gap.words[1:]):
        return False
    if gap.lowered & english.NO_TITLE:
        return False
    end = gap.after
    while end < len(gap.source) and gap.source[end].is_word and gap.source[end].text[0].isupper():
        end += 1
    closed = end == len(gap.source) or gap.source[end].text in ",."
    after_comma = gap.tokens[-1].text == ","
    if gap.leads:
        return closed and after_comma
    return (closed or not after_comma) and gap.source[gap.before].lower in (
        "by",
        "to",
        "with",
        "from",
        "for",
        "against",
    )
