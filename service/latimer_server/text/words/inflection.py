"""Tells whether a word is one of a language: listed, or an inflection or compound of a listed word.

The rules are loose on purpose: they decide which words are no words, and a rare one must not count as such.
"""

from __future__ import annotations

import re
import unicodedata

from latimer_server.text.words.word_list import LEAST_LETTERS, WordList, find_word_list

# A word that another one is derived from must have this frequency on the Zipf scale: the rarest listed words are often
# misspelled or foreign.
_LEAST_BASE = 2.0
# Or so many rarer words are listed from which it may be derived: `nidificar` and `nidifica` for `nidificando`.
_LEAST_RARE_BASES = 2
_PREFIXES = re.findall(
    r"\w+",
    "macro micro multi auto sub re des dis pre pré inter super anti semi hiper hyper non un over in im mini tele foto"
    " photo bio geo meta pseudo trans ultra co contra extra infra intra mono neo para poli poly pós post pro sobre"
    " under out up de",
)
_SUFFIXES = {
    "en": re.findall(r"\w+", "s es ed d ing ly er ers ness less able"),
    "pt": re.findall(r"\w+", "s es mente r m mos ram va vam ndo do da dos das"),
}
# Endings of Portuguese verbs and their derivations, and those that the listed word may have instead.
_ENDINGS = re.findall(
    r"\w+",
    "ar er ir ada ando aram eram iram amos armos ermos irmos arem am ou ava avam ará arão aria ariam asse assem e em o"
    " ássemos êssemos íssemos ávamos aremos eremos iremos aríamos eríamos iríamos ados adas idos idas areis ereis ireis"
    " íram ía íam"
    " a idade ção ções al ais ico ica icos icas izar ador adora agem",
)
_OTHER_ENDINGS = ("ar", "er", "ir", "o", "a", "e", "ado", "ido")
# Endings of Portuguese verbs whose consonant is written otherwise in the infinitive, and the ending of that.
_CHANGED_ENDINGS = tuple(
    (f"{start}{end}", infinitive)
    for start, infinitive in (("qu", "car"), ("gu", "gar"), ("c", "çar"))
    for end in ("e", "es", "em", "ei", "emos")
)
# The least frequency of each part of an English compound: `night` and `guards`.
_LEAST_PART = 4.0
# The letters that a Portuguese verb loses before a pronoun: `fazê-lo` for `fazer`, `juntemo-nos` for `juntemos`.
_LOST_LETTERS = "rs"


def find_frequency(word: str, language: str) -> float:
    """Returns the frequency of a word in small letters on the Zipf scale; 0 if the list of the language lacks it."""
    words = find_word_list(language)
    return words.find_frequency(word) if words else 0.0


def is_word(word: str, language: str) -> bool:
    """Returns True if a word in small letters is one of the language, whose list must exist."""
    words = find_word_list(language)
    if words is None or words.find_frequency(word):
        return True
    if language == "pt" and any(words.find_frequency(remove_accents(word) + letter) for letter in _LOST_LETTERS):
        return True
    if language == "en" and _is_compound(word, words):
        return True
    bases = _list_bases(word, language)
    if _is_base(remove_accents(word), words) or any(_is_base(base, words) for base in bases):
        return True
    return sum(1 for base in set(bases) if words.find_frequency(base)) >= _LEAST_RARE_BASES


def remove_accents(word: str) -> str:
    """Returns a word without its accents: `acao` for `ação`."""
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _is_base(word: str, words: WordList) -> bool:
    return words.find_frequency(word) >= _LEAST_BASE


def _is_compound(word: str, words: WordList) -> bool:
    """Returns True if a word consists of two frequent ones."""
    return any(
        words.find_frequency(word[:place]) >= _LEAST_PART and words.find_frequency(word[place:]) >= _LEAST_PART
        for place in range(LEAST_LETTERS, len(word) - LEAST_LETTERS + 1)
    )


def _list_bases(word: str, language: str) -> list[str]:
    """Returns the words of which a word may be a compound or an inflection, whether they exist or not."""
    bases = [word.removeprefix(prefix) for prefix in _PREFIXES if word.startswith(prefix)]
    for suffix in _SUFFIXES[language]:
        stem = word.removesuffix(suffix)
        if stem != word and len(stem) >= LEAST_LETTERS:
            bases.append(stem)
            if language == "en":
                bases.append(stem + "e")
                bases += [stem[:-1]] if stem[-1] == stem[-2] else []
    if language == "pt":
        stems = [word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending)]
        bases += [stem + ending for stem in stems if len(stem) >= LEAST_LETTERS for ending in _OTHER_ENDINGS]
        bases += [word.removesuffix(end) + infinitive for end, infinitive in _CHANGED_ENDINGS if word.endswith(end)]
    return [base for base in bases if len(base) >= LEAST_LETTERS]
