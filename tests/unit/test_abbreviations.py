"""Abbreviations are spelled out where they can be nothing else."""

from __future__ import annotations

from contextvars import copy_context

import pytest

from latimer_server.core.abandonment import Abandoned, set_abandonment
from latimer_server.core.spans import TextSpan
from latimer_server.text.abbreviations import find_abbreviations, spell_out_abbreviations
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import rewrite_text


def spell_out(text: str, language: str) -> str:
    guarded = ProtectedText(text)
    return rewrite_text(guarded, spell_out_abbreviations(guarded, language)).text


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Qty: 5 ea.", "en", "Quantity: 5 each"),
        ("3 ft 2 in long, 5 ft 11 in, 6 ft 1 in", "en", "3 ft 2 inches long, 5 ft 11 inches, 6 ft 1 inch"),
        ("Fecha à 2.ª feira e na 3ª-feira", "pt", "Fecha à segunda-feira e na terça-feira"),
        ("Na 6.ª-feira, 4ª feira de manhã e 5ª feira", "pt", "Na sexta-feira, quarta-feira de manhã e quinta-feira"),
        ("Igreja do séc. XVI. Séc. XX", "pt", "Igreja do século XVI. Século XX"),
        ("Total qty. 12 ea, QTY", "en", "Total quantity 12 each, QUANTITY"),
        ("Ms. Brown, see No. 5.", "en", "Mrs. Brown, see number 5."),
        ("No. 5 is here", "en", "Number 5 is here"),
        ("Burger w/ cheese, w/o onions", "en", "Burger with cheese, without onions"),
        ("Tue, 3 Dec 2024", "en-GB", "Tue, December 3, 2024"),
        ("Dec. 25, from Jan. to Mar.", "en", "December 25, from January to March"),
        ("Jan–Mar and Sept 5", "en", "January–March and September 5"),
        (
            "Coffee (w/ milk), “Qty 5”—w/ friends (incl. tax)",
            "en",
            "Coffee (with milk), “Quantity 5”—with friends (including tax)",
        ),
        ("Oi (vc sabe)", "pt", "Oi (você sabe)"),
        ("Exma. Sra. Silva e Exmo. Sr. Lima", "pt", "Prezada senhora Silva e Prezado senhor Lima"),
        ("Vedado o uso. Vedada a cópia.", "pt", "É proibido o uso. É proibida a cópia."),
        ("for 0.3 mi. It is 1 mi away", "en", "for 0.3 miles. It is 1 mile away"),
        ("up by $5 mi, $12 mi", "en", "up by $5 mi, $12 mi"),
        ("1 hr ago, 21 hrs", "en", "1 hour ago, 21 hours"),
        ("vc e tb eles, p/ mim", "pt", "você e também eles, para mim"),
        ("Vc não veio pq?", "pt-BR", "Você não veio porque?"),
        ("Qtd.: 5 un.", "pt", "Quantidade: 5 unidades"),
        ("5 de jan. de 2024", "pt", "5 de janeiro de 2024"),
        ("Pedido n.º {id} e processo nº {num}", "pt", "Pedido número {id} e processo número {num}"),
        ("a fatura nº 12, n.º de série AB-1", "pt", "a fatura Nº 12, número de série AB-1"),
        ("guia N.º ABC-12, faturas n.os {a} e {b}", "pt", "guia Número ABC-12, faturas números {a} e {b}"),
        ("incl. no. of guests", "en", "including number of guests"),
        (
            "No. of pages: 3, invoice No. {id}, item no. 7",
            "en",
            "Number of pages: 3, invoice number {id}, item number 7",
        ),
        (
            "about 20 sq. m. and 300 sq ft, or 5 sq. km.",
            "en",
            "about 20 square meters and 300 square feet, or 5 square kilometers.",
        ),
        ("(approx. 20 sq. m.)", "en", "(approximately 20 square meters)"),
        (
            "3 min ago, 1 min ago, 21 min left, 10 sec ago",
            "en",
            "3 minutes ago, 1 minute ago, 21 minutes left, 10 seconds ago",
        ),
        ("Call me ASAP. ASAP means now", "en", "Call me as soon as possible. As soon as possible means now"),
        ("CALL ME ASAP", "en", "CALL ME AS SOON AS POSSIBLE"),
        ("can u see? thank u, do u know", "en", "can you see? thank you, do you know"),
        ("Pls call. Thx!", "en", "Please call. Thanks!"),
    ],
)
def test_abbreviations_are_spelled_out(text: str, language: str, expected: str) -> None:
    assert spell_out(text, language) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I met Jan. She left.", "en"),
        ("It stands 3 ft 2 in front of the door, 3 in a row", "en"),
        ("na 1ª feira do livro, 7.ª feira", "pt"),
        ("a 3ª feira do livro e a 5ª feira de artesanato", "pt"),
        ("No. I will not.", "en"),
        ("The sea and Dec are here", "en"),
        ("Press ea to read vc", "en"),
        ("1 tb de espaço, 60 km p/h", "pt"),
        ("o set de 5 peças", "pt"),
        ("Qty: 5", "de"),
        ("The answer is no. 12 people came", "en"),
        ("They said no. Of course", "en"),
        ("No. {name} is here", "en"),
        ("You can u-turn here, if u = 3", "en"),
        ("Add 5 min of rest. The min ago", "en"),
        ("não dos convidados, 5 n. os outros", "pt"),
        ("o n.º vencedor", "pt"),
    ],
)
def test_other_words_stay(text: str, language: str) -> None:
    assert spell_out(text, language) == text


def test_protected_spans_stay_and_no_sentence_ends_at_an_abbreviation() -> None:
    guarded = ProtectedText("Qty of Qty", (TextSpan(7, 10),))
    assert rewrite_text(guarded, spell_out_abbreviations(guarded, "en")).text == "Quantity of Qty"
    assert list(find_abbreviations("See No. 5 now", "en")) == [TextSpan(4, 9)]


def test_the_search_of_a_long_text_can_be_interrupted_and_finds_what_stands_between_two_parts() -> None:
    for shift in range(9_990, 10_010):
        assert spell_out("a" * shift + " Qty: 5 ea. and", "en").endswith(" Quantity: 5 each and")

    def search() -> None:
        set_abandonment(lambda: True)
        with pytest.raises(Abandoned):
            list(find_abbreviations("Some words, No. 5. " * 2_000, "en"))

    copy_context().run(search)
