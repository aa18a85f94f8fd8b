"""XLIFF 1.2 and 2.0."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError, ReadOptions, Translated, Unit
from tests.unit.files.documents import read_texts, translate_file

PORTUGUESE = ReadOptions(source_language="en", target_language="pt")


def file_1(body: str, language: str = ' target-language="pt"') -> str:
    return (
        '<?xml version="1.0"?>\n<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">\n'
        f'<file original="a" source-language="en"{language}><body>\n{body}\n</body></file></xliff>\n'
    )


def file_2(body: str) -> str:
    return (
        '<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="pt">'
        f'<file id="f"><unit id="u">{body}</unit></file></xliff>\n'
    )


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.xlf"
    path.write_text(text)
    return path


def translated(tmp_path: Path, text: str, translation: Translated | str | None) -> str:
    return translate_file(write(tmp_path, text), lambda _: translation, PORTUGUESE).decode()


def test_a_target_is_added_behind_its_source(tmp_path: Path) -> None:
    unit = '<trans-unit id="1">\n  <source>One &amp; two</source>{}\n  <note>n</note>\n</trans-unit>'
    assert read_texts(write(tmp_path, file_1(unit.format(""))), PORTUGUESE) == ["One & two"]
    target = '\n  <target state="translated">Um &amp; dois</target>'
    assert translated(tmp_path, file_1(unit.format("")), "Um & dois") == file_1(unit.format(target))


def test_an_uncertain_target_needs_review_and_has_a_note(tmp_path: Path) -> None:
    unit = "<trans-unit id='1'><source>One 1</source>{}</trans-unit>"
    target = (
        '<target state="needs-review-translation">Um</target><note from="latimer">NUMBER_MISMATCH, REPETITION</note>'
    )
    uncertain = Translated(text="Um", flags=("NUMBER_MISMATCH", "REPETITION"))
    assert translated(tmp_path, file_1(unit.format("")), uncertain) == file_1(unit.format(target))


@pytest.mark.parametrize(
    ("target", "is_open"),
    [
        ("", True),
        ("<target/>", True),
        ('<target state="new">Old</target>', True),
        ('<target state="needs-translation">Old</target>', True),
        ("<target>One</target>", True),
        ("<target>Um</target>", False),
        ('<target state="translated">Um</target>', False),
        ('<target state="final">One</target>', False),
        ('<target state="needs-review-translation">Um</target>', False),
    ],
)
def test_finished_targets_stay(tmp_path: Path, target: str, *, is_open: bool) -> None:
    text = file_1(f"<trans-unit id='1'><source>One</source>{target}</trans-unit>")
    assert read_texts(write(tmp_path, text), PORTUGUESE) == (["One"] if is_open else [])
    written = translated(tmp_path, text, "Novo")
    assert ('<target state="translated">Novo</target>' in written) == is_open
    assert (written == text) != is_open


def test_a_failed_unit_keeps_what_it_has(tmp_path: Path) -> None:
    text = file_1('<trans-unit id="1"><source>One</source><target state="new">Old</target></trans-unit>')
    assert translated(tmp_path, text, None) == text


def test_units_that_are_not_translated_stay(tmp_path: Path) -> None:
    text = file_1(
        '<trans-unit id="1" translate="no"><source>One</source></trans-unit><group translate="no"><trans-unit id="2">'
        '<source>Two</source></trans-unit><trans-unit id="3" translate="yes"><source>Three</source></trans-unit>'
        "</group>"
        '<trans-unit id="4" approved="yes"><source>Four</source></trans-unit>'
        '<trans-unit id="5"><source/></trans-unit><trans-unit id="6"><source>Six</source><alt-trans>'
        "<source>Seven</source></alt-trans></trans-unit>"
    )
    assert read_texts(write(tmp_path, text), PORTUGUESE) == ["Three", "Six"]


def test_inline_elements_of_1_2_keep_their_attributes(tmp_path: Path) -> None:
    source = (
        'See <g id="1" ctype="bold">the page</g><x id="2" ctype="lb"/>or <bpt id="3">&lt;i&gt;</bpt>write'
        '<ept id="3">&lt;/i&gt;</ept> to <ph id="4">{0}</ph><it id="5" pos="open">&lt;b&gt;</it> '
        '<mrk mtype="protected">X</mrk>'
    )
    text = file_1(f"<trans-unit id='1'><source>{source}</source></trans-unit>")
    expected = (
        'See <g1>the page</g1><br id="2"/>or <g3>write</g3> to <g4 translate="no">{0}</g4> <g5 translate="no">X</g5>'
    )
    assert read_texts(write(tmp_path, text), PORTUGUESE) == [expected]
    written = translated(tmp_path, text, '<g3>A</g3> <g4 translate="no">{0}</g4><g1>B</g1><br id="2"/><g5>X</g5>')
    assert (
        '<target state="translated"><bpt id="3">&lt;i&gt;</bpt>A<ept id="3">&lt;/i&gt;</ept> <ph id="4">{0}</ph>'
        '<it id="5" pos="open">&lt;b&gt;</it><g id="1" ctype="bold">B</g><x id="2" ctype="lb"/>'
        '<mrk mtype="protected">X</mrk></target>'
    ) in written
    assert f'<target state="translated">{source}</target>' in translated(tmp_path, text, expected)


def test_the_pairs_of_angular_are_pairs(tmp_path: Path) -> None:
    start = '<x id="START_TAG_B" equiv-text="&lt;b&gt;"/>'
    end = '<x id="CLOSE_TAG_B" equiv-text="&lt;/b&gt;"/>'
    name = '<x id="INTERPOLATION" equiv-text="{{name}}"/>'
    text = file_1(f"<trans-unit id='1'><source>Hello {start}dear{end} {name}!</source></trans-unit>")
    [found] = read_texts(write(tmp_path, text), PORTUGUESE)
    assert found == 'Hello <g1>dear</g1> <g2 translate="no">{{name}}</g2>!'


def test_segments_are_units_and_make_one_target(tmp_path: Path) -> None:
    unit = (
        "<trans-unit id='1'><source>One. Two. 3.</source><seg-source>"
        '<mrk mtype="seg" mid="0">One.</mrk> <mrk mtype="seg" mid="1">Two.</mrk> <mrk mtype="seg" mid="2">3.</mrk>'
        "</seg-source>{}</trans-unit>"
    )
    text = file_1(unit.format(""))
    assert read_texts(write(tmp_path, text), PORTUGUESE) == ["One.", "Two."]
    new: dict[str, Translated | str] = {"One.": "Um.", "Two.": Translated(text="Dois.", flags=("REPETITION",))}

    def translate(unit: Unit) -> Translated | str | None:
        return new[unit.text]

    written = translate_file(write(tmp_path, text), translate, PORTUGUESE).decode()
    assert written == file_1(
        unit.format(
            '<target state="needs-review-translation"><mrk mtype="seg" mid="0">Um.</mrk> <mrk mtype="seg" mid="1">'
            'Dois.</mrk> <mrk mtype="seg" mid="2">3.</mrk></target><note from="latimer">REPETITION</note>'
        )
    )
    partly = translate_file(write(tmp_path, text), lambda unit: None if unit.text == "Two." else "Um.", PORTUGUESE)
    assert partly.decode() == text


def test_the_target_language_is_declared(tmp_path: Path) -> None:
    text = file_1("<trans-unit id='1'><source>One</source></trans-unit>", language="")
    assert 'source-language="en" target-language="pt">' in translated(tmp_path, text, "Um")
    brazilian = file_1("<trans-unit id='1'><source>One</source></trans-unit>", language=' target-language="pt-BR"')
    assert 'source-language="en" target-language="pt-BR">' in translated(tmp_path, brazilian, "Um")


def test_translations_into_another_language_are_not_mixed(tmp_path: Path) -> None:
    body = "<trans-unit id='1'><source>One</source><target>Un</target></trans-unit>"
    with pytest.raises(FileError, match="holds translations into fr, not pt"):
        read_texts(write(tmp_path, file_1(body, ' target-language="fr"')), PORTUGUESE)


def test_segments_of_2_0_get_targets_and_states(tmp_path: Path) -> None:
    text = file_2(
        '<originalData><data id="d">{n}</data></originalData><segment>\n  '
        '<source>You have <ph id="1" dataRef="d"/> new '
        '<pc id="2">mails</pc></source>\n</segment>'
    )
    [found] = read_texts(write(tmp_path, text), PORTUGUESE)
    assert found == 'You have <g1 translate="no">{n}</g1> new <g2>mails</g2>'
    new = 'Tem <g1 translate="no">{n}</g1> <g2>mensagens</g2>'
    written = translated(tmp_path, text, new)
    assert '<segment state="translated">\n' in written
    assert '\n  <target>Tem <ph id="1" dataRef="d"/> <pc id="2">mensagens</pc></target>\n' in written
    uncertain = translated(tmp_path, text, Translated(text=new, flags=("REPETITION", "LENGTH_RATIO")))
    assert '<segment state="translated" subState="latimer:REPETITION.LENGTH_RATIO">' in uncertain


@pytest.mark.parametrize(
    ("attributes", "target", "is_open"),
    [
        ("", "", True),
        ("", "<target>Um</target>", False),
        (' state="initial"', "<target>Um</target>", True),
        (' state="translated"', "<target>Um</target>", False),
        (' state="final"', "<target>Um</target>", False),
        (' state="initial" subState="x:y"', "<target>Um</target>", False),
    ],
)
def test_finished_segments_stay(tmp_path: Path, attributes: str, target: str, *, is_open: bool) -> None:
    text = file_2(f"<segment{attributes}><source>One</source>{target}</segment>")
    assert read_texts(write(tmp_path, text), PORTUGUESE) == (["One"] if is_open else [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html/>", "is no XLIFF file"),
        ('<xliff version="9"/>', "is XLIFF '9', which is not known"),
        (file_1("<trans-unit><source>One</trans-unit>"), "no well-formed XML"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        read_texts(write(tmp_path, text), PORTUGUESE)
