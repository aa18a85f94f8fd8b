"""Detects a translation that is a copy of its source.

Names, titles, loanwords and code are rightly copied. So the check counts plain words (in small letters), and asks for
fewer of them if one is a frequent word that only the source language has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from latimer_server.core.languages import primary_subtag
from latimer_server.core.scripts import UNSPACED_OR_DENSE_LETTERS
from latimer_server.text.checks.repetition import split_words

# Frequent words, which show the language of a text. A word in the lists of both languages shows nothing.
_FUNCTION_WORDS = {
    "en": "the of and to in is are was were be been it its that this these those with for on from by at as or not"
    " you your"
    " we our they their he his she her i my have has had will would can could should which who what when where there"
    " but if"
    " do does did an up out so than then into about more no any all how",
    "pt": "o a os as um uma de do da dos das em no na nos nas e é são foi ser que para por com não se mais como mas"
    " ou ao à"
    " pelo pela seu sua ele ela eles você eu nós este esta isso isto esse essa ter tem há está pode quando onde"
    " muito já também"
    " sem sobre até entre num numa lhe me",
    "es": "el la los las un una de del en y es son fue ser que para por con no se más como pero o al su sus él ella"
    " ellos"
    " usted yo este esta esto ese esa eso tiene hay está puede cuando donde muy ya también sin sobre hasta entre lo"
    " le me",
    "fr": "le la les un une de du des en et est sont été être que qui pour par avec ne pas se plus comme mais ou au"
    " aux son"
    " sa ses il elle ils vous je nous ce cette ces dans sur a ont peut quand où très déjà aussi sans jusqu entre y lui",
    "it": "il lo la i gli le un una di del della dei delle in nel nella e è sono stato essere che per con non si più"
    " come ma"
    " o al alla suo sua lui lei loro io noi questo questa ha può quando dove molto già anche senza su fino tra",
    "de": "der die das den dem des ein eine einen einem einer und ist sind war sein zu im in mit für auf von bei als"
    " oder"
    " nicht sie wir ihr er es ich haben hat kann wird werden wenn wo auch noch aber nach aus an um durch über nur so",
}
FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
# Languages so close that a sentence may be the same in both.
_KIN = (
    frozenset({"pt", "gl", "es", "ast", "ca", "an"}),
    frozenset({"nb", "nn", "no", "da", "sv"}),
    frozenset({"hr", "sr", "bs", "sh", "sl", "mk", "bg"}),
    frozenset({"cs", "sk"}),
    frozenset({"id", "ms"}),
    frozenset({"ru", "uk", "be"}),
    frozenset({"hi", "ur", "mr", "ne"}),
    frozenset({"nl", "af"}),
    frozenset({"zh", "yue", "ja"}),
)
# The least number of plain words of a text that counts as copied: in general, if it has a frequent word that only the
# source language has, and between close languages. A text with the last number of letters of a script that is dense or
# without spaces counts without plain words.
_MIN_WORDS = 4
_MIN_WORDS_WITH_FUNCTION = 3
_MIN_KIN_WORDS = 8
_MIN_COMPACT_LETTERS = 10
# A copy may have a word or two changed: at least this share of the different words must be in both texts, and each text
# must have at least this number of words.
_NEAR = 0.85
_MIN_NEAR_WORDS = 6
_ROUNDING = 1e-6
# The first protected spans, up to this many, are cut from the text. The words of any others are ignored one by one.
_MAX_CUT_SPANS = 32
_COMPACT_LETTER = re.compile(f"[{UNSPACED_OR_DENSE_LETTERS}]")
_NAME_OR_CODE = re.compile("[\\d@/\\\\_<>{}=]")


def is_copy(
    source: str,
    output: str,
    source_language: str,
    target_language: str,
    protected: Sequence[str] = (),
    source_words: Sequence[str] | None = None,
    output_words: Sequence[str] | None = None,
) -> bool:
    """Returns True if `output` copies `source` except for case, punctuation and a word or two.

    Returns False if the source has too few plain words (or letters, in a script that is dense or without spaces): names
    and code may be copied. Languages are BCP-47 codes. `protected`: texts of protected spans, whose words are not plain
    words. `source_words` and `output_words`: the results of `repetition.split_words`, if the caller has them.
    """
    source_base, target_base = primary_subtag(source_language), primary_subtag(target_language)
    if source_base == target_base or not source:
        return False
    words = split_words(source) if source_words is None else source_words
    others = split_words(output) if output_words is None else output_words
    same = words == others
    if not same and not _is_near(words, others):
        return False
    if any(source_base in group and target_base in group for group in _KIN):
        return same and _count_plain(source, protected) >= _MIN_KIN_WORDS
    if not same and len(others) < _MIN_NEAR_WORDS:
        return False
    plain = _count_plain(source, protected)
    source_only = FUNCTION_WORDS.get(source_base, frozenset()) - FUNCTION_WORDS.get(target_base, frozenset())
    has_source_only = not source_only.isdisjoint(words)
    if source_only and target_base in FUNCTION_WORDS:
        return plain >= _MIN_WORDS_WITH_FUNCTION and has_source_only
    if len(_COMPACT_LETTER.findall(source)) >= _MIN_COMPACT_LETTERS:
        return True
    return plain >= (_MIN_WORDS_WITH_FUNCTION if has_source_only else _MIN_WORDS)


def _is_near(words: Sequence[str], others: Sequence[str]) -> bool:
    """Returns True if two texts of six or more words share at least 85% of their different words, in any order.

    Words with figures do not count.
    """
    size, other = len(words), len(others)
    if size < _MIN_NEAR_WORDS or not 0.8 * size <= other <= 1.25 * size:
        return False
    other_vocabulary = set(others)
    # Most translations lack many words of their source, so its first words decide.
    missing: set[str] = set()
    for word in words:
        if word not in other_vocabulary and not _has_digit(word):
            missing.add(word)
            if len(missing) > (1 - _NEAR) * size + _ROUNDING:
                return False
    vocabulary = set(words)
    allowed = (1 - _NEAR) * len(vocabulary)
    for word in vocabulary - other_vocabulary:
        allowed -= not _has_digit(word)
        if allowed < -_ROUNDING:
            return False
    # Words with figures are the same in both languages.
    vocabulary, other_vocabulary = (
        {word for word in text if not _has_digit(word)} for text in (vocabulary, other_vocabulary)
    )
    return len(vocabulary & other_vocabulary) >= _NEAR * max(len(vocabulary), len(other_vocabulary))


def _has_digit(word: str) -> bool:
    return not word.isalpha() and any(map(str.isdigit, word))


def _count_plain(source: str, protected: Sequence[str]) -> int:
    """Returns the number of plain words: those that begin with a small letter, or all words of a text in capitals.

    Words of one letter, names, numbers, code and protected spans do not count.
    """
    for span in protected[:_MAX_CUT_SPANS]:
        source = source.replace(span, " ")
    protected_words = frozenset(word for span in protected[_MAX_CUT_SPANS:] for word in span.split())
    lowered = source.lower() if source.isupper() else source
    return sum(
        len(word) > 1 and word[0].islower() and word not in protected_words and not _NAME_OR_CODE.search(word)
        for word in lowered.split()
    )
