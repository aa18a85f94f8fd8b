"""Names of languages for people, from the table of CLDR that the client carries."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from latimer import InvalidArgumentError, language_name


@pytest.mark.parametrize(
    ("code", "shown_in", "name"),
    [
        ("pt", "en", "Portuguese"),
        ("pt-BR", "en", "Brazilian Portuguese"),
        ("pt-BR", "pt", "português (Brasil)"),
        ("pt-BR", "pt-BR", "português (Brasil)"),
        ("PT_br", "EN", "Brazilian Portuguese"),
        ("de", "de", "Deutsch"),
        ("zh-Hant", "en", "Traditional Chinese"),
        ("de", "zh-Hant", "德文"),
        ("de", "zh-Hant-TW", "德文"),
        ("es-PE", "en", "Spanish (Peru)"),
        ("sr-Latn", "en", "Serbian (Latin)"),
        ("zh-Hant-TW", "en", "Traditional Chinese (Taiwan)"),
        ("und", "en", "Unknown language"),
    ],
)
def test_languages_have_the_names_of_cldr(code: str, shown_in: str, name: str) -> None:
    assert language_name(code, in_=shown_in) == name


@pytest.mark.parametrize(
    ("code", "name"), [("por", "Portuguese"), ("iw", "Hebrew"), ("cmn_Hans", "Simplified Chinese")]
)
def test_older_and_longer_codes_are_known(code: str, name: str) -> None:
    assert language_name(code) == name


def test_a_code_without_a_name_is_its_own_name_and_english_replaces_an_unknown_language() -> None:
    assert language_name("xx-YY") == "xx-YY"
    assert language_name("de", in_="tlh") == "German"


@pytest.mark.parametrize("code", ["", "p", "pt BR", "../en", "português", None, 7, "a" * 100])
def test_what_is_no_code_is_refused(code: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"code is .*; it must be a language code"):
        language_name(code)
    with pytest.raises(InvalidArgumentError, match="in_ is"):
        language_name("de", in_=code)


def test_the_table_is_not_read_before_a_name_is_asked_for() -> None:
    code = "import sys, latimer; print('zipfile' in sys.modules, latimer.language_name('de'), 'zipfile' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False German True\n"
