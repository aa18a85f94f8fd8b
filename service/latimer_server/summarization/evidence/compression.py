"""Compression: decides whether a generated sentence is its source sentence with harmless words left out.

All words of the generated sentence must occur in the source in the same order, so that it recombines nothing. The rules
below decide whether a true sentence stays true without the omitted words, and refuse in doubt. They are for English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from latimer_server.core.languages import primary_subtag
from latimer_server.summarization.evidence import english
from latimer_server.summarization.evidence.words import Token, list_words, split_tokens

_MIN_WORDS = 5
_MAX_TOKENS = 400
_MAX_TITLE_WORDS = 5
_YEAR = re.compile(r"(1[5-9]|20)\d\d")
_COMMAS = frozenset(",;–—")


def find_compression(
    candidates: Sequence[str], source: str, kept: frozenset[str] = frozenset(), language: str = "en"
) -> str:
    """Returns the candidate with the fewest words that is a compression of `source`; "" if there is none.

    A candidate must contain all words of `kept` that occur in `source`. `language` (BCP-47) is the language of both.
    """
    required = kept & list_words(source)
    compressions = [
        text for text in candidates if required <= list_words(text) and is_compression(text, source, language)
    ]
    return min(compressions, key=lambda text: len(text.split()), default="")


def is_compression(sentence: str, source: str, language: str = "en") -> bool:
    """True if `sentence` is one whole sentence that equals `source` with harmless words left out.

    In languages other than English only numbers and acronyms in brackets may be left out. False if nothing is left out,
    if `sentence` has fewer than 5 words, or if `source` has more than 400 tokens.
    """
    sentence_tokens, source_tokens = split_tokens(sentence), split_tokens(source)
    size = sum(token.is_word for token in sentence_tokens)
    if not _MIN_WORDS <= size < sum(token.is_word for token in source_tokens) or len(source_tokens) > _MAX_TOKENS:
        return False
    if not sentence.rstrip("\"'”’»)").endswith((".", "!", "?", "。", "…")) or _has_several_sentences(sentence):
        return False
    return _Alignment(source_tokens, sentence_tokens, in_english=primary_subtag(language) == "en").exists()


def _has_several_sentences(sentence: str) -> bool:
    return re.search(r"[.!?](?=\s+[A-Z“\"])", sentence.rstrip()[:-1]) is not None


class _Alignment:
    """A search for an alignment of a sentence's words with the words of its source.

    An alignment maps the words in order to equal words, and omits only source words that are harmless.
    """

    def __init__(self, source: Sequence[Token], sentence: Sequence[Token], *, in_english: bool) -> None:
        self._source = source
        self._words = [token for token in sentence if token.is_word]
        self._marks = _list_marks(sentence)
        self._kept = frozenset(token.lower for token in self._words)
        self._in_english = in_english

    def exists(self) -> bool:
        """True if there is an alignment."""
        # The possible states after each word: the index of its equal in the source, and True if the words omitted
        # before it were a title, so that the comma after the name may be missing too.
        reachable = {(-1, False)}
        for word, marks in zip(self._words, self._marks, strict=False):
            places = [index for index, token in enumerate(self._source) if _is_same(word, token)]
            steps = (self._skip(*end, place, marks) for place in places for end in reachable if end[0] < place)
            reachable = {step for step in steps if step}
            if not reachable:
                return False
        return any(self._skip(*end, len(self._source), self._marks[-1]) for end in reachable)

    def _skip(self, before: int, titled: bool, after: int, marks: Sequence[str]) -> tuple[int, bool] | None:  # noqa: FBT001
        """Returns the state after omitting the source words between the indices `before` and `after`.

        `titled` is the second part of the state at `before`. `marks` are the sentence's marks at that point. Returns
        None if the part must not be omitted, or if the source lacks one of these marks there.
        """
        gap = _Gap(self._source, before, after, self._kept)
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
    """Returns the punctuation marks before each word, and as the last item those after the last word."""
    marks: list[list[str]] = [[]]
    for token in tokens:
        if token.is_word:
            marks.append([])
        else:
            marks[-1].append(token.text)
    return marks


def _is_same(word: Token, other: Token) -> bool:
    """True if both tokens are the same word with the same capitalization; the first word of a sentence may differ."""
    if not other.is_word or word.lower != other.lower:
        return False
    return word.first or other.first or word.text[0].isupper() == other.text[0].isupper()


@dataclass(frozen=True)
class _Gap:
    """An omitted part of the source, between the kept words at the indices `before` and `after`.

    -1 and the length of the source stand for the ends of the sentence. `kept` holds all kept words in lower case.
    """

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
        """True if the kept words include one such as `never` or `highest`.

        The kept claim would then be wider without a place, time or reason.
        """
        return bool(self.kept & english.SENSITIVE) or any(word.endswith(("est", "n't")) for word in self.kept)


def _is_aside(gap: _Gap) -> bool:
    """True for one pair of brackets with only numbers and words in capitals. This rule works in every language."""
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
    """True for a relative clause between two commas: `, who scored twice,`."""
    if any(_YEAR.fullmatch(token.text) for token in gap.words):
        return False  # `Thorne, who mapped it in 1894, concluded`: the year also dates the conclusion
    following = "" if gap.trails else gap.source[gap.after].lower
    return gap.opener in english.RELATIVE and gap.commas == 2 and following not in english.CONTINUATIONS


def _is_phrase(gap: _Gap) -> bool:
    """True for a part that may be left out without a comma on both sides.

    Such parts are a reason at the end (`because staff were ill`), fillers and adverbs of manner (`quickly`), a place or
    time (`on Saturday`), and a title before a name (`the substitute`).
    """
    if gap.trails and gap.opener in english.BARE_OPENERS and not gap.commas:
        return not gap.narrows
    if all(_is_filler(token) for token in gap.words):
        following = "" if gap.trails else gap.source[gap.after].lower
        if gap.narrows and not gap.lowered <= english.FILLERS:
            return False  # `not paid to him personally`
        return following not in ("few", "little", "lot", "number", "only") and not (gap.trails and gap.commas)
    return (_is_place_or_time(gap) and not gap.narrows) or (not gap.trails and _is_title(gap))


def _is_last_clause(gap: _Gap) -> bool:
    """True for a final clause after a complete statement: `, although three members abstained.`"""
    if gap.kept & {"either", "neither", "both", "whether", "only"}:
        return False
    if gap.lowered & (english.NEGATIONS | english.DUTIES):
        return False  # `He was to resign, but did not.` `With consent, which shall not be withheld.`
    if gap.lowered & (english.ATTRIBUTIONS | english.HEDGES) and (gap.opener == "as" or gap.opener.endswith("ing")):
        return False  # `He took bribes, as his rivals alleged.`
    return gap.opener in english.CLAUSE_OPENERS or (gap.opener.endswith("ing") and len(gap.opener) > 5)


def _is_opening(gap: _Gap) -> bool:
    """True for an opening phrase: `After the flood, ...`, `But ...`, `The mayor,` before `Anna Lind, ...`."""
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
    """True for prepositions with only names and times: `on Saturday`, `at Brook Lane`, `in March 2024`."""
    if gap.opener not in english.PLACE_OR_TIME or any(not token.is_word for token in gap.tokens[:-1]):
        return False
    if not gap.trails:
        following = gap.source[gap.after]
        if following.is_name or following.is_number or following.lower in ("and", "or"):
            return False  # `in Paris and Rome`, `at Brook Lane Stadium`
        if following.lower == "to" and gap.opener in ("from", "in"):
            return False  # `from March to May`
    content = [token for token in gap.words if token.lower not in english.PLACE_OR_TIME | {"the"}]
    return bool(content) and all(_is_when_or_where(gap.words, index) for index in range(len(gap.words)))


def _is_when_or_where(words: Sequence[Token], index: int) -> bool:
    token = words[index]
    if token.is_number:
        neighbours = (*words[max(0, index - 1) : index], *words[index + 1 : index + 2])
        near_month = any(other.lower in english.TIMES and other.text[0].isupper() for other in neighbours)
        return near_month or _YEAR.fullmatch(token.text) is not None
    return token.is_name or token.lower in english.PLACE_OR_TIME | english.TIMES | {"the"}


def _is_title(gap: _Gap) -> bool:
    """True for a title before a name: `by [the substitute] Leon Hartigan`, `[The mayor,] Anna Lind, said`."""
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
