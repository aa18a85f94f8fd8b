"""Tests of the number check: notations of the same number are accepted, and other differences are reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.core.flags import Flag
from latimer_server.text.checks.numbers import has_number_mismatch
from latimer_server.text.checks.output_checks import check_output

SAME = [
    ("en", "pt", "It costs 1,234.5 euros.", "Custa 1.234,5 euros."),
    ("en", "fr", "It costs 1,234.5 euros.", "Cela coûte 1 234,5 euros."),
    ("en", "fr", "About 1,300,000 people.", "Environ 1\u202f300\u202f000 personnes."),
    ("pt", "en", "50 000 pessoas marcharam.", "50,000 people marched."),
    ("en", "de-CH", "It costs 12,345 francs.", "Es kostet 12'345 Franken."),
    ("en", "pt", "It takes 1.5 hours.", "Leva 1,5 hora."),
    ("en", "pt", "It takes 1.5 hours.", "Leva 1.5 hora."),
    ("en", "pt", "It is $5.00.", "São US$ 5."),
    ("en", "hi", "It is 12,34,567 rupees.", "12,34,567 रुपये"),
    ("en", "ar", "There are 1,250 books.", "هناك ١٬٢٥٠ كتابا."),
    ("en", "hi", "In 2024 it was 35.", "२०२४ में ३५।"),
    ("en", "zh", "The year 2024.", "２０２４年。"),
    # Dates
    ("en", "pt", "Born on 05/03/2024.", "Nasceu em 5 de março de 2024."),
    ("en", "pt", "On March 5, 1821 he died.", "Em 5/3/1821 ele morreu."),
    ("en", "de", "On 5 March 2024.", "Am 5.3.2024."),
    ("en", "pt", "On 2024-03-05.", "Em 05/03/2024."),
    ("en", "pt", "Signed 05/03/24.", "Assinado em 5 de março de 2024."),
    # Times
    ("en", "pt", "We meet at 3 p.m.", "Nós nos encontramos às 15h."),
    ("en", "pt", "We meet at 3 p.m.", "Nós nos encontramos às 15:00."),
    ("en", "pt", "We meet at 3pm.", "Nós nos encontramos às 3 da tarde."),
    ("en", "pt", "It leaves at 3:30 pm.", "Sai às 15h30."),
    ("pt", "en", "A loja abre das 9h às 17h.", "The shop opens from 9am to 5pm."),
    ("pt", "en", "A loja abre das 9h às 17h.", "The shop opens from 9 to 5 pm."),
    ("en", "de", "At 3:30 p.m.", "Um 15.30 Uhr."),
    ("en", "pt", "It closes at 12 am.", "Fecha às 0h."),
    # Ordinals and centuries
    ("en", "pt", "The 21st floor.", "O 21º andar."),
    ("en", "pt", "The 21st floor.", "O 21.º andar."),
    ("en", "pt", "The 3rd of May.", "O terceiro de maio."),
    ("en", "pt", "It is of the 19th century.", "É do século XIX."),
    ("pt", "en", "É do século XXI.", "It is of the 21st century."),
    ("en", "pt", "In the 1980s it changed.", "Nos anos 80 mudou."),
    ("pt", "en", "Na década de 60.", "In the 1960s."),
    ("en", "pt", "In the 1980s it changed.", "Nos anos oitenta mudou."),
    ("en", "pt", "The class of '98.", "A turma de 1998."),
    # Percent, currency, scales
    ("en", "pt", "It fell by 5%.", "Caiu 5 por cento."),
    ("en", "pt", "It costs $5.", "Custa US$ 5."),
    ("en", "pt", "Sales of $5 million.", "Vendas de US$ 5 milhões."),
    ("en", "pt", "Sales of 2.5 million.", "Vendas de 2.500.000."),
    ("en", "pt-PT", "A debt of 3.2 billion.", "Uma dívida de 3,2 mil milhões."),
    ("en", "pt", "A debt of 3.2bn.", "Uma dívida de 3,2 bilhões."),
    ("en", "pt", "A bill of $12,000.", "Uma conta de US$ 12 mil."),
    ("pt", "en", "Vieram 2,5 mil.", "2,500 came."),
    ("pt", "en", "Entre 10 e 12 mil.", "Between 10,000 and 12,000."),
    ("en", "zh", "20,000 people came.", "2万人来了。"),
    ("en", "de", "A debt of 3 billion.", "Schulden von 3 Milliarden."),
    # Units of areas and volumes
    ("en", "pt", "About 20 sq. m.", "Cerca de 20 m2"),
    ("pt", "en", "São 35 m2 e 5 cm3.", "It is 35 square metres and 5 cubic centimetres."),
    # Words for digits and back
    ("en", "pt", "3 cats and 2 dogs.", "Três gatos e dois cães."),
    ("pt", "en", "Três gatos e 15 cães.", "3 cats and fifteen dogs."),
    ("en", "es", "12 months", "doce meses"),
    ("en", "fr", "12 months", "douze mois"),
    ("en", "de", "12 months", "zwölf Monate"),
    ("en", "it", "12 months", "dodici mesi"),
    ("en", "zh", "3 cats", "三只猫"),
    ("en", "pt", "12 eggs", "uma dúzia de ovos"),
    ("en", "pt", "25 people", "vinte e cinco pessoas"),
    ("en", "de", "25 people", "fünfundzwanzig Leute"),
    ("en", "it", "28 people", "ventotto persone"),
    ("en", "fr", "97 people", "quatre-vingt-dix-sept personnes"),
    ("en", "fr", "97 people", "quatre vingt dix-sept personnes"),
    ("en", "pt", "Twenty-five people died.", "25 pessoas morreram."),
    ("en", "pt", "2,000 people", "duas mil pessoas"),
    ("en", "pt", "1 year ago", "há um ano"),
    ("en", "pt", "Twenty-five people.", "Vinte e cinco pessoas."),
    # Fractions, scores, ranges
    ("en", "pt", "About 3/4 passed.", "Cerca de três quartos passaram."),
    ("en", "pt", "Add ½ cup.", "Adicione 1/2 xícara."),
    ("en", "pt", "Add ½ cup.", "Adicione meia xícara."),
    ("en", "pt", "Add 2 1/2 cups.", "Adicione 2,5 xícaras."),
    ("en", "pt", "We won 2-1.", "Ganhamos por 2–1."),
    ("en", "pt", "We won 2-1.", "Ganhamos por 2 a 1."),
    ("en", "pt", "Pages 45-67.", "Páginas 45 a 67."),
    ("pt", "en", "De 15 em 15 dias.", "Every 15 days."),
    # Letters and digits
    ("en", "pt", "COVID-19 changed it.", "A COVID-19 mudou isso."),
    ("en", "pt", "H2O is water.", "H₂O é água."),
    ("en", "pt", "A 4K TV", "Uma TV 4K"),
    ("en", "pt", "James Bond 007", "James Bond 7"),
    ("en", "pt", "Debian 2.100 is out.", "O Debian 2.100 saiu."),
    ("en", "pt", "See section 12.4.1.", "Veja a seção 12.4.1."),
    ("en", "pt", "No numbers at all.", "Nenhum número."),
    # A language whose number words are not known: small numbers may be written as words.
    ("en", "fi", "3 cats", "kolme kissaa"),
]

OTHER = [
    ("en", "pt", "11,998 people in jail.", "19.998 pessoas na prisão."),
    ("en", "pt", "It costs 1,234.5 euros.", "Custa 1.234,6 euros."),
    ("en", "pt", "It weighs 3.125 kilograms.", "Pesa 3.125 kg."),
    ("pt", "en", "Pesa 3,125 quilos.", "Weighs 3,125 kilograms."),
    ("en", "pt", "About 1,234 people.", "Cerca de 1,234 pessoas."),
    ("pt", "en", "Havia cerca de 1.234 pessoas.", "There were about 1.234 people."),
    ("en", "pt", "It grew by 1.5 percent.", "Cresceu 15 por cento."),
    ("en", "pt", "8,000,000,000 people.", "8.000.000 pessoas."),
    ("en", "pt", "A fine of 2,500,000 pounds.", "Uma multa de 2,500.000 libras."),
    ("en", "pt", "In World War II 60 million died.", "Na Segunda Guerra Mundial, morreram."),
    ("en", "pt", "Add ½ teaspoon.", "Adicione 1 a 2 colheres."),
    ("en", "pt", "We meet at 3 p.m.", "Nós nos encontramos às 13h."),
    ("en", "pt", "Born on 05/03/2024.", "Nasceu em 5 de março de 2023."),
    ("en", "pt", "It is of the 19th century.", "É do século XX."),
    ("en", "pt", "In the 1980s it changed.", "Nos anos 90 mudou."),
    ("en", "pt", "Sales of $5 million.", "Vendas de US$ 5 bilhões."),
    ("en", "pt", "3 cats", "quatro gatos"),
    ("en", "pt", "Three cats", "4 gatos"),
    ("en", "pt", "Three cats came.", "Vieram quatro gatos."),
    ("en", "pt", "Twenty-five people died.", "Vinte e seis pessoas morreram."),
    ("en", "pt", "It lasted 20 minutes.", "Durou 20 20 minutos."),
    ("en", "pt", "It lasted minutes.", "Durou 20 minutos."),
    ("en", "pt", "Chapter 1 has a map.", "O capítulo tem um mapa."),
    ("en", "pt", "COVID-19 came in one year.", "A COVID-1 veio em um ano."),
    ("en", "pt", "See crontab(5) and five others.", "Veja o crontab e outros cinco."),
    ("en", "fi", "35 cats", "kissaa"),
    ("en", "zh", "20,000 people came.", "3万人来了。"),
]


@pytest.mark.parametrize(("source_language", "target_language", "source", "output"), SAME)
def test_another_notation_of_the_same_number_is_no_mismatch(
    source_language: str, target_language: str, source: str, output: str
) -> None:
    assert not has_number_mismatch(source, output, source_language, target_language)


@pytest.mark.parametrize(("source_language", "target_language", "source", "output"), OTHER)
def test_a_changed_lost_or_added_number_is_a_mismatch(
    source_language: str, target_language: str, source: str, output: str
) -> None:
    assert has_number_mismatch(source, output, source_language, target_language)


def test_numbers_in_protected_spans_are_ignored_on_both_sides() -> None:
    source, output = "Call +55 11 5555 or see v1.2 in 3 days.", "Ligue ou veja v1.2 em 3 dias."
    assert has_number_mismatch(source, output, "en", "pt")
    assert not has_number_mismatch(source, output, "en", "pt", ["+55 11 5555", "v1.2"])
    assert has_number_mismatch(source, output.replace("3", "4"), "en", "pt", ["+55 11 5555", "v1.2"])


def test_numbers_in_many_protected_spans_are_ignored() -> None:
    spans = [f"x{n}" for n in range(100)]
    source = " ".join(spans)
    assert not has_number_mismatch(source, " ".join(spans[1:]), "en", "pt", spans)
    assert has_number_mismatch(source, f"{source} 777", "en", "pt", spans)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1 " * 100_000,
            "1," * 100_000,
            "1.5 " * 50_000,
            "1/2 " * 50_000,
            "9" * 200_000,
            "½" * 200_000,
            "3pm " * 50_000,
        ),
        *(
            "twenty one " * 20_000,
            "twenty-" * 20_000 + "5",
            "XX " * 60_000 + "5",
            "一" * 200_000 + "5",
            "md1 " * 50_000,
        ),
    ],
)
def test_long_and_hostile_texts_are_compared(text: str) -> None:
    """Each text takes minutes if a step is quadratic."""
    assert not has_number_mismatch(text, text, "en", "pt")
    assert has_number_mismatch(text, f"{text} 77", "en", "pt")
    assert has_number_mismatch(text, f"{text} 77", "zh", "en")


_NUMBERS = st.builds(
    lambda whole, places, digits: f"{whole:,}" + (f".{digits:0{places}d}"[: places + 1] if places else ""),
    st.integers(0, 10**12),
    st.integers(0, 6),
    st.integers(1, 10**6 - 1),
)
_WORDS = st.sampled_from(["people", "and", "cost", "euros", "in", "the", "of", "about"])


@given(st.lists(st.tuples(_NUMBERS, _WORDS), max_size=8), st.sampled_from([("pt", "."), ("fr", "\u202f"), ("it", ".")]))
def test_a_text_with_the_marks_of_another_locale_has_the_same_numbers(
    parts: list[tuple[str, str]], locale: tuple[str, str]
) -> None:
    language, group = locale
    source = " ".join(f"{word} {number}" for number, word in parts)
    output = " ".join(f"{word} {number.translate({44: group, 46: ','})}" for number, word in parts)
    for one, other, languages in ((source, output, ("en", language)), (output, source, (language, "en"))):
        flags = check_output(one, other, source_language=languages[0], target_language=languages[1])
        assert Flag.NUMBER_MISMATCH not in flags


@given(st.lists(st.integers(13, 10**9), min_size=1, max_size=6), st.data())
def test_a_replaced_number_is_a_mismatch(numbers: list[int], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(numbers) - 1))
    other = [
        *numbers[:index],
        data.draw(st.integers(13, 10**9).filter(lambda n: n != numbers[index])),
        *numbers[index + 1 :],
    ]
    source = " cats ".join(f"{number:,}" for number in numbers)
    output = " gatos ".join(f"{number:,}".replace(",", ".") for number in other)
    assert has_number_mismatch(source, output, "en", "pt")
