"""Titles and lone words are read with other capitals, over a real channel: names stay, other words are translated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from latimer import AsyncClient
from latimer_server.core.decoding import TokenIds
from tests.fakes import EchoBackend, serve_fakes

VOWELS = str.maketrans("aeiou", "oauei")
NAMES = frozenset({"taylor", "paris", "robert"})


class Translating(EchoBackend):
    """A model that copies words with a capital, and replaces the vowels of others; its vocabulary knows three names."""

    def word_score(self, word: str) -> float | None:
        return -5.0 if (word.lower() in NAMES) == word[0].isupper() and not word[1:].isupper() else -15.0

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        return [" ".join(map(self.translate, text.split(" "))) for text in super().decode(ids)]

    def translate(self, word: str) -> str:
        return word if word[:1].isupper() else word.translate(VOWELS)


class Adding(Translating):
    """A model that adds brackets to a lone word with a capital, and writes `hello` twice."""

    def translate(self, word: str) -> str:
        if word == "hello":
            return "hullu hullu"
        return f"{word} (em inglês)" if word[:1].isupper() else word.translate(VOWELS)


async def translate(text: str, backend: Translating, **options: Any) -> Any:
    async with serve_fakes({"en-pt": backend}) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        return await client.translate(text, target="pt", source="en", **options)


@pytest.mark.parametrize("title", ["Singer Taylor Sings in Paris", "SINGER TAYLOR SINGS IN PARIS"])
async def test_names_of_a_title_stay_and_other_words_are_translated(title: str) -> None:
    result = await translate(title, Translating())
    assert result.text.lower() == "singer taylor sungs un paris"
    assert result.text.isupper() == title.isupper()


async def test_a_name_loses_what_the_model_adds_to_it() -> None:
    result = await translate("Robert", Adding(), include_alignment=True)
    assert (result.text, result.flags) == ("Robert", ())


async def test_a_lone_word_is_read_in_small_letters_if_the_model_adds_to_it() -> None:
    assert (await translate("Save", Adding())).text == "Sova"


async def test_a_word_written_twice_is_written_once() -> None:
    assert (await translate("hello", Adding())).text == "hullu"


async def test_a_word_of_which_only_the_source_is_left_is_flagged() -> None:
    class Stubborn(Adding):
        def translate(self, word: str) -> str:
            return f"{word} (em inglês)"

    result = await translate("Save", Stubborn())
    assert (result.text, result.flags) == ("Save", ("COPIED_SOURCE",))
    assert (await translate("Robert", Stubborn())).flags == ()
