"""A word is unknown if the target language lacks it: an invented one, or one left over from the source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.text.checks.output_checks import check_words
from latimer_server.text.checks.unknown_words import has_invented_word, has_unknown_word
from latimer_server.text.words.inflection import is_word
from latimer_server.text.words.word_list import find_word_list


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("retry", "retrose"),
        ("Let us hold them off as long as we can!", "Vamos aguhá-los o tempo que pudermos!"),
        ("In such cases, you would need to spoof the address.", "Nesses casos, você precisaria falsóia do endereço."),
        ("We found (wet) tissue.", "Encontramos (humedicado) tecido."),
        ("Bicubic (good quality)", "Búcuo (boa qualidade)"),
    ],
)
def test_a_word_that_neither_text_has_a_reason_for_is_invented(source: str, output: str) -> None:
    assert has_unknown_word(source, output, "en", "pt-BR")


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("Atenciosamente,", "Attetiously,"),
        ("Umidade entre 45% e 90%.", "Humity between 45% and 90%."),
        ("Lá estão eles! Atacar!", "There they are! Attate!"),
        ("Os arquivos são do comando semanage.", "The files belong to the weekge command."),
    ],
)
def test_invented_english_words_are_found_too(source: str, output: str) -> None:
    assert has_unknown_word(source, output, "pt", "en")


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("(looks miffed)", "(parece miffed)"),
        ("My master is merely toying with you!", "Meu mestre está meramente toying com você!"),
        ("Disallow login using a fingerprint", "Disallow login usando uma impressão digital"),
    ],
)
def test_a_frequent_word_of_the_source_in_small_letters_is_left_over(source: str, output: str) -> None:
    assert has_unknown_word(source, output, "en", "pt")


def test_a_word_with_two_rare_relatives_in_the_list_is_a_word() -> None:
    assert is_word("nidificando", "pt")
    assert not has_unknown_word("A colony of birds was nesting there.", "Uma colônia nidificando ali.", "en", "pt")


@pytest.mark.parametrize(
    ("source", "output"),
    [
        # Loanwords, and words of a trade that are rare in both languages.
        ("Install the kernel backup plugin.", "Instale o plugin de backup do kernel."),
        ("The framebuffer has a demuxer.", "O framebuffer tem um demuxer."),
        # Names: words of the source with a capital, abbreviations, and words with a capital inside.
        ("Gweddry met Li’sar in Weldyn.", "Gweddry encontrou Li'sar em Weldyn."),
        ("Select Rename or Calibrate.", "Selecione Rename ou Calibrate."),
        ("The HRD and LibreOffice", "O CDHD e o LibreWriter"),
        # A name whose apostrophe the model left out, plurals of loanwords, names of commands in quotation marks.
        ("Thank you, Lord El’rien.", "Obrigado, Senhor Elrien."),
        ("The output defaults", "Os defaults de saída"),
        ("Run 'cp invocation' or “aptitude update”.", "Execute 'cp invocation' ou \"aptitude update\"."),
        # Derived words that no list has, and verbs with pronouns.
        ("Macroblock", "Macrobloqueio"),
        ("Hepatosplenomegaly was seen.", "Observou-se hepatoesplenomegalia."),
        ("Certainly, let us join together.", "Certamente, juntemo-nos."),
        ("We must eradicate it.", "Devemos erradicá-lo quando o erradicarmos."),
        ("Decode them now!", "Descodifique-os agora!"),
        ("So shall you counsel us.", "Assim nos aconselhareis."),
        # Code, options, addresses and names of commands.
        ("Run x --recursive on /usr/xqzt or foo_xqzt.", "Execute x --recursive em /usr/xqzt ou foo_xqzt."),
        ("The SCSI-commands of kiosk-user", "Os SCSI-commands do kiosk-user"),
        ("", ""),
        ("🙂 12.5", "🙂 12,5"),
    ],
)
def test_right_words_are_not_reported(source: str, output: str) -> None:
    assert not has_unknown_word(source, output, "en", "pt")


def test_speech_in_quotation_marks_is_no_name() -> None:
    assert has_unknown_word("He said: “I don't like her: she merely looks miffed.”", "“Ela parece miffed.”", "en", "pt")


@pytest.mark.parametrize("output", ["retrose", "Diga (retrose) agora."])
def test_an_invented_word_may_be_written_otherwise(output: str) -> None:
    assert has_invented_word("retry", output, "en", "pt")


@pytest.mark.parametrize(
    "output", ["RETROSE", "O Retrose", "o retrose-lixo", "retrose e aguhá", "parece miffed", "bom"]
)
def test_other_unknown_words_are_mostly_written_alike_again(output: str) -> None:
    assert not has_invented_word("looks miffed", output, "en", "pt")


def test_a_language_without_a_list_and_a_text_in_the_same_language_are_not_checked() -> None:
    assert not has_unknown_word("retry", "retrose", "en", "de")
    assert not has_unknown_word("tentar", "retrose", "pt-PT", "pt-BR")


def test_words_of_a_source_language_without_a_list_are_not_left_over() -> None:
    assert not has_unknown_word("der Schmetterling", "the schmetterling", "de", "en")
    assert has_unknown_word("der Schmetterling", "the bufferfly", "de", "en") == (not is_word("bufferfly", "en"))


def test_the_flag_names_the_fault() -> None:
    assert [flag.name for flag in check_words("retry", "retrose", "en", "pt")] == ["UNKNOWN_WORD"]
    assert check_words("retry", "tentar de novo", "en", "pt") == ()


@given(st.text(), st.text(), st.sampled_from(["en", "pt"]))
def test_any_text_is_checked_without_an_error(source: str, output: str, language: str) -> None:
    has_unknown_word(source, output, "pt" if language == "en" else "en", language)


def test_a_long_text_of_rare_words_takes_linear_time() -> None:
    # Each word of the output begins like one of the source, so that all of them are compared.
    letters = "abcdefghij"
    endings = ["".join(letters[int(digit)] for digit in str(number)) for number in range(5_000)]
    source = " ".join(f"xqzwk{ending}" for ending in endings)
    output = " ".join(f"xqzwk{ending}x" for ending in endings)
    assert not has_unknown_word(source, output, "en", "pt")


def test_the_lists_have_the_words_of_their_language_only() -> None:
    english, portuguese = find_word_list("en"), find_word_list("pt")
    assert english is not None
    assert portuguese is not None
    assert english.find_frequency("house") > english.find_frequency("miffed") > 0
    assert english.find_frequency("colchetes") == 0
    assert portuguese.find_frequency("colchetes") > 0
    assert find_word_list("xx") is None


@pytest.mark.parametrize("word", ["unblocked", "reloading", "happier", "multithreading", "nightguards"])
def test_inflections_and_compounds_of_english_words_are_words(word: str) -> None:
    assert is_word(word, "en")


@pytest.mark.parametrize(
    "word", ["desbloqueássemos", "recarregando", "gatinhos", "microondas", "rapidamente", "descodifique", "encharquem"]
)
def test_inflections_and_compounds_of_portuguese_words_are_words(word: str) -> None:
    assert is_word(word, "pt")
