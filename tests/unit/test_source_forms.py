"""Tests of what a segment is read without and gets back: line breaks, hyphens, escapes, white space."""

from __future__ import annotations

import pytest

from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.hyphenation import join_words
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.messages import find_structure
from latimer_server.text.protection.rules import ProtectionRules, compile_pattern
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.segment_form import finish_output, prepare_segment
from latimer_server.translation.segment_output import SegmentOutput
from latimer_server.translation.segmenting import ParsedContent, segment_content

_VOCABULARY = {"government", "election", "well", "known", "november"}


def count_tokens(word: str) -> int:
    return 1 if word.lower() in _VOCABULARY else 2


def segments_of(text: str, splitting: Splitting = Splitting.SENTENCES) -> list[str]:
    (part,) = segment_content(ParsedContent(text), "en", splitting, ProtectionRules(), None)
    return [segment.text for segment in part.segments]


def finish(source: str, output: str, *, keeps_lines: bool = True) -> str:
    written = ProtectedText(source)
    segment = prepare_segment(written, join=not keeps_lines, language="en")
    return finish_output(source, segment, SegmentOutput(output), keeps_lines=keeps_lines).text


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("Name:      Ana", ["Name:", "Ana"]),
        ("  -v, --verbose   print more\n  -q  print less", ["-v, --verbose", "print more", "-q", "print less"]),
        ("Red apple  12\nPear       7\n", ["Red apple", "12", "Pear", "7"]),
        ("One two.  Three  four.", ["One two.", "Three  four."]),
        ("  indented\n     more", ["indented", "more"]),
        ("use `a     b` now", ["use `a     b` now"]),
        (
            "  -o FILE     the output\n^K  Cut it     ^X  Leave",
            ["-o FILE", "the output", "^K", "Cut it", "^X", "Leave"],
        ),
    ],
)
def test_columns_of_a_plain_text_are_segments(text: str, segments: list[str]) -> None:
    assert segments_of(text) == segments


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ('"Strawberry"', ["Strawberry"]),
        ("(See page 5.)", ["See page 5."]),
        ('"Yes" and "no"', ['"Yes" and "no"']),
        ("-The old line\n--Yes", ["The old line", "Yes"]),
        ("(a) the buyer; (b) the seller", ["the buyer; (b) the seller"]),
        ("-v is an option", ["-v is an option"]),
        ("Name=Text Editor", ["Text Editor"]),
        ('msgid "The disk is full"\nmsgstr ""', ["The disk is full", '""']),
        ('"title": "The end",', ['"The end",']),
        ('"Red chair",12,"In stock"', ["Red chair", "In stock"]),
        ('He said "yes", "no" and so on.', ['He said "yes", "no" and so on.']),
        ("One line\\nAnother line\\n", ["One line", "Another line"]),
        ("Use the microphone\\nto make calls.", ["Use the microphone", "to make calls."]),
        ("Free: 5 GB\\nused: 3 GB", ["Free: 5 GB", "used: 3 GB"]),
        ("Copy dir\\new to dir\\notes now", ["Copy dir\\new to dir\\notes now"]),
        ("Open C:\\new\\table.txt", ["Open C:\\new\\table.txt"]),
    ],
)
def test_marks_and_pairs_at_the_edges_belong_to_the_separators(text: str, segments: list[str]) -> None:
    assert segments_of(text) == segments


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("You have {n, plural, =0 {no files} other {# new files}}.", ["You have", "no files", "# new files"]),
        (
            "{g, select, male {{n, plural, one {his car} other {his # cars}}} other {it is {x}}}",
            ["his car", "his # cars", "it is {x}"],
        ),
        ("{n, plural, one {a} other {b}", ["{n, plural, one {a} other {b}"]),
    ],
)
def test_the_messages_of_plural_and_select_arguments_are_segments(text: str, segments: list[str]) -> None:
    assert segments_of(text) == segments


def test_the_structure_of_a_message_is_all_but_its_texts() -> None:
    text = "{n,plural, offset:1 =0 {none} one{'{'one} other {# of {m}}}"
    kept = "".join(text[span.start : span.end] for span in find_structure(text))
    assert kept == "{n,plural, offset:1 =0 {} one{} other {#}}"


@pytest.mark.parametrize("splitting", [Splitting.SENTENCES, Splitting.NONE, Splitting.SENTENCES_ACROSS_LINES])
def test_a_word_that_a_hyphen_divides_is_in_one_segment(splitting: Splitting) -> None:
    (text,) = segments_of("The govern-\n  ment is a well-\nknown one", splitting)
    assert join_words(text, count_tokens).replace("\u00ad", "") == "The government is a well-known one"


def test_lines_are_not_joined_where_each_is_a_text_or_a_word_does_not_go_on() -> None:
    assert segments_of("elec-\ntion", Splitting.LINES) == ["elec-", "tion"]
    assert segments_of("Jean-\nPaul and 5-\n6") == ["Jean-", "Paul and 5-", "6"]


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("Hi,  the  end", "Oi, o fim", "Oi,  o  fim"),
        ("In 10\u00a0000 cases of\u00a0it", "Em 10 000 casos disso", "Em 10\u00a0000 casos disso"),
        ("a\tb c", "x y z", "x\ty z"),
        ("Use \u2068Ana\u2069 now", "Usa Ana agora", "Usa \u2068Ana\u2069 agora"),
        ("the \u202bred house\u202c here", "a casa vermelha aqui", "a \u202bcasa vermelha\u202c aqui"),
        ("the end\u2069 of it", "o fim dele", "o fim\u2069 dele"),
        ('Don\\\'t \\"go\\"', 'D\'ont "vá"', 'D\\\'ont \\"vá\\"'),
        ('Don\'t \\"go\\"', 'D\'ont "vá"', 'D\'ont \\"vá\\"'),
        ("_Open", "Abrir", "_Abrir"),
        ("Save &As", "Salvar como", "S&alvar como"),
        ("E&xit", "Sair", "&Sair"),
        ("To continue, click &Yes.", "Para continuar, clique em Sim.", "Para continuar, clique em &Sim."),
        ("Click _Open to choose.", "Clique em Abrir para escolher.", "Clique em _Abrir para escolher."),
        ("Press &Retry or &Ignore.", "Pressione Repetir ou Ignorar.", "Pressione &Repetir ou &Ignorar."),
        ("Click &Save to save the file.", "Clique em Salvar para salvar.", "Clique em &Salvar para salvar."),
        ("the elec-\ntion is", "a eleição é", "a eleição\né"),
        ("Fixed for the 7ª time on 𝕏.", "Fixado pela 7a vez no X.", "Fixado pela 7ª vez no 𝕏."),
        ("( ) Yes ( ) No", "() Sim () Não", "( ) Sim ( ) Não"),
        ("( ) Call f() now", "() Chame f() agora", "( ) Chame f() agora"),
        ("( ) Yes ( ) No", "() Sim Não", "() Sim Não"),
        ("CLÁUSULA 3ª – DO PREÇO", "CLAUSE 3A – PRICE", "CLAUSE 3ª – PRICE"),
        ("Ele mora no 3º andar", "He lives on 3 floor A 3A", "He lives on 3 floor A 3A"),
        ("Well… I see…", "Bem... entendo...", "Bem… entendo…"),
        ("Well... I see…", "Bem... entendo...", "Bem... entendo..."),
        ("Well… .... no", "Bem... .... não", "Bem… .... não"),
        ("“He said ‘no’ and ‘don’t’”", "\"Ele disse 'não' e 'não faça'\"", "“Ele disse ‘não’ e ‘não faça’”"),
        ("the dogs’ ‘house’", "a 'casa' dos cães", "a ‘casa’ dos cães"),
        ("word", "palavra", "palavra"),
    ],
)
def test_an_output_gets_what_its_source_has(source: str, output: str, expected: str) -> None:
    assert finish(source, output) == expected


def test_lost_styled_letters_are_flagged_and_raised_ones_are_not() -> None:
    for source, output, flags in [
        ("𝐛𝐨𝐥𝐝 words", "palavras ousadas", (Flag.UNKNOWN_TOKENS,)),
        ("𝐛𝐨𝐥𝐝 words", "palavras bold", ()),
        ("a 7ª vez", "the 7th time", ()),
    ]:
        finished = finish_output(source, ProtectedText(source), SegmentOutput(output), keeps_lines=True)
        assert finished.flags == flags


def test_the_plural_before_an_optional_ending_is_removed() -> None:
    segment = ProtectedText("5 day(s) ago", (TextSpan(5, 8),))
    output = SegmentOutput("5 dias(s) atrás", protected=(TextSpan(6, 9),))
    finished = finish_output(segment.text, segment, output, keeps_lines=True)
    assert finished.text == "5 dia(s) atrás"
    assert finished.protected == (TextSpan(5, 8),)


def test_spans_and_links_move_with_what_is_put_back() -> None:
    segment = ProtectedText("go  {x} \\'a\\'", (TextSpan(4, 7),))
    read = prepare_segment(segment, join=False, language="en")
    assert read.text == "go  {x} 'a'"
    links = (Link(TextSpan(0, 2), TextSpan(0, 2), 1.0), Link(TextSpan(8, 11), TextSpan(7, 10), 1.0))
    output = SegmentOutput("vá {x} 'a'", protected=(TextSpan(3, 6),), links=links)
    finished = finish_output(segment.text, read, output, keeps_lines=True)
    assert finished.text == "vá  {x} \\'a\\'"
    assert finished.protected == (TextSpan(4, 7),)
    assert finished.links is not None
    assert finished.text[finished.links[1].target.start : finished.links[1].target.end] == "'a\\'"


# Every form of plain text that the server reads, and texts of several forms.
HOSTILE_UNITS = (
    *("a  ", "  ", "a\tb\t", "12 | 13\n", "a-\na ", "hyphen-\nation ", "\\'a ", "\\n", "a\\nb", "\\u0041 ", "\\"),
    *("\u202ba ", "\u202c", "(a) ", "file(s) ", "(s)", "_A ", "&File ", "[ ] ", "[x", "____ ", "Name: ____\n", "☐ "),
    *("{a, plural, b {", "{a, select, b {c} ", "{a, plural, one {# b} other {# c}} ", "{", "}", "{{a", "%d/", "$t(a) "),
    *("7ª ", "‘a’ ", "*a* ", "**a", "_a_", "…", "1ST ", "OPÇÕES ", "Éa ", "A. ", "Thomas A. Reed ", "By: A. "),
    *("Mon–Fri ", "Thu, Oct 5 ", "1,234.5 ", "$1,234 ", "€ 5 ", "a—b ", " - ", "Email:\n", "<0>a</0> ", "[b]a[/b] "),
    *("Mon–Fri {a} [ ] ", "a-\nb  $1,2 ", "{a, plural, b {Mon, ____ \\n", "*A.* (s) …— ", "‘\\'[ ]7ª ", "a\t1,2\t_A "),
)


@pytest.mark.parametrize("unit", HOSTILE_UNITS)
def test_hostile_texts_take_linear_time(unit: str) -> None:
    text = unit * (50_000 // len(unit))  # quadratic work takes minutes
    (part,) = segment_content(ParsedContent(text), "en", Splitting.SENTENCES, ProtectionRules(), None)
    for segment, source in zip(part.segments, part.document.segments, strict=True):
        output = SegmentOutput(segment.text, protected=segment.spans)
        assert finish_output(source, segment, output, keeps_lines=True).text


def test_an_hour_that_the_caller_protects_stays_protected() -> None:
    rules = ProtectionRules(patterns=(compile_pattern(r"\d+h\d+"),), builtin=False)
    (part,) = segment_content(ParsedContent("Chegou às 14h22 hoje."), "pt", Splitting.SENTENCES, rules, None)
    (segment,) = part.segments
    assert [segment.text[span.start : span.end] for span in segment.spans] == ["14h22"]
