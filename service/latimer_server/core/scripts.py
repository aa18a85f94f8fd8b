"""Scripts that are written without spaces between words, or that say more in a character than Latin letters do.

The table `SCRIPTS` is the only place that lists them; every set of languages, and every class of characters except
`_CJK_SIGNS`, is derived from it. Ranges follow the blocks of Unicode 16, languages are base codes of BCP-47.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """A script and the languages written in it.

    `letters`: its characters, as ranges for a character class of a regular expression. `languages`: base codes; a
    language may use several scripts. `unspaced`: it puts no spaces between words. `dense`: a text in it has at most
    half the characters of its translation into English.
    """

    name: str
    letters: str
    languages: frozenset[str]
    unspaced: bool
    dense: bool


_CHINESE = frozenset({"zh", "yue", "wuu"})

SCRIPTS = (
    Script("Thai", "\u0e00-\u0e7f", frozenset({"th"}), unspaced=True, dense=False),
    Script("Lao", "\u0e80-\u0eff", frozenset({"lo"}), unspaced=True, dense=False),
    Script("Tibetan", "\u0f00-\u0fff", frozenset({"bo", "dz"}), unspaced=True, dense=False),
    Script("Myanmar", "\u1000-\u109f", frozenset({"my"}), unspaced=True, dense=False),
    Script("Khmer", "\u1780-\u17ff", frozenset({"km"}), unspaced=True, dense=False),
    Script(
        "Han",
        "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303c\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
        _CHINESE | {"ja"},
        unspaced=True,
        dense=True,
    ),
    Script("Bopomofo", "\u3100-\u312f\u31a0-\u31bf", _CHINESE, unspaced=True, dense=True),
    Script("Kana", "\u3040-\u30ff\u31f0-\u31ff", frozenset({"ja"}), unspaced=True, dense=True),
    Script("Hangul", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af", frozenset({"ko"}), unspaced=False, dense=True),
)

# Punctuation, symbols, strokes and enclosed letters of Chinese and Japanese texts, for `UNSPACED_CHARACTERS`. Several
# scripts share them, so no row of `SCRIPTS` lists them.
_CJK_SIGNS = "\u2fe0-\u303f\u3190-\u319f\u31c0-\u31ef\u3200-\u33ff"


def _list_languages(wanted: Callable[[Script], bool]) -> frozenset[str]:
    return frozenset(code for script in SCRIPTS if wanted(script) for code in script.languages)


def _join_letters(wanted: Callable[[Script], bool]) -> str:
    return "".join(script.letters for script in SCRIPTS if wanted(script))


# Base codes of the languages whose scripts put no spaces between words, are dense (see `Script`), or are Han.
UNSPACED_LANGUAGES = _list_languages(lambda script: script.unspaced)
DENSE_LANGUAGES = _list_languages(lambda script: script.dense)
HAN_LANGUAGES = _list_languages(lambda script: script.name == "Han")

# Characters of the scripts without spaces, with and without `_CJK_SIGNS`, and of the scripts without spaces or dense.
# Each is a text of ranges for the inside of a regular expression's character class, without its brackets.
UNSPACED_LETTERS = _join_letters(lambda script: script.unspaced)
UNSPACED_CHARACTERS = UNSPACED_LETTERS + _CJK_SIGNS
UNSPACED_OR_DENSE_LETTERS = _join_letters(lambda script: script.unspaced or script.dense)
