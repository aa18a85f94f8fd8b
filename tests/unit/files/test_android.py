"""Android's string resources."""

from __future__ import annotations

from pathlib import Path

from latimer.files import ReadOptions, Translated, Unit
from tests.unit.files.documents import read_texts, read_units, translate_file

POLISH = ReadOptions(source_language="en", target_language="pl")


def write(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "strings.xml"
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<resources xmlns:xliff="urn:oasis:names:tc:xliff:document:1.2">\n'
        f"{body}\n</resources>\n"
    )
    return path


def translated(tmp_path: Path, body: str, translation: str) -> str:
    written = translate_file(write(tmp_path, body), lambda _: translation).decode()
    return written.partition('1.2">\n')[2].removesuffix("\n</resources>\n")


def test_strings_plurals_and_arrays_are_units_with_their_names(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '<string name="a">One</string>\n<plurals name="b"><item quantity="one">%d day</item><item quantity="other">'
        '%d days</item></plurals>\n<string-array name="c"><item>First</item><item>@string/a</item></string-array>',
    )
    assert read_units(path) == [
        Unit(text="One", place="line 3", context="a"),
        Unit(text="%d day", place="line 4", context="b[one]", syntaxes=("printf",)),
        Unit(text="%d days", place="line 4", context="b[other]", syntaxes=("printf",)),
        Unit(text="First", place="line 5", context="c[0]"),
    ]
    assert translate_file(path) == path.read_bytes()


def test_what_is_not_translated_stays(tmp_path: Path) -> None:
    body = (
        '<string name="a" translatable="false">One</string><string name="b">@string/a</string>'
        '<string name="c">12</string><string name="d">?attr/text</string><integer name="e">3</integer>'
        '<string name="f"/><color name="g">#fff</color>'
    )
    assert read_texts(write(tmp_path, body)) == []


def test_escapes_are_read_and_written(tmp_path: Path) -> None:
    body = r"""<string name="a">Don\'t \"do\"  this\n
        now \u00e9 \@me &amp; \\</string>"""
    assert read_texts(write(tmp_path, body)) == ['Don\'t "do" this\n now é @me & \\']
    assert translated(tmp_path, body, "@Não 'x' \"y\"\n<z>  \\ ?") == (
        r"""<string name="a">\@Não \'x\' \"y\"\n&lt;z&gt; \u0020\\ ?</string>"""
    )


def test_spaces_in_quotation_marks_are_text(tmp_path: Path) -> None:
    body = '<string name="a">"  Two  spaces: "</string>'
    assert read_texts(write(tmp_path, body)) == ["Two  spaces:"]
    assert translated(tmp_path, body, "Dois espaços:") == (
        '<string name="a">\\u0020\\u0020Dois espaços:\\u0020</string>'
    )


def test_elements_follow_their_words_and_placeholders_stay(tmp_path: Path) -> None:
    body = '<string name="a">Hello <xliff:g id="n" example="Ann">%1$s</xliff:g>, <b>read</b> this</string>'
    assert read_texts(write(tmp_path, body)) == ['Hello <g1 translate="no">%1$s</g1>, <g2>read</g2> this']
    assert translated(tmp_path, body, '<g2>Leia</g2> isto, <g1 translate="no">%1$s</g1>') == (
        '<string name="a"><b>Leia</b> isto, <xliff:g id="n" example="Ann">%1$s</xliff:g></string>'
    )


def test_a_cdata_section_is_html(tmp_path: Path) -> None:
    body = "<string name='a'>\n<![CDATA[<b>Don\\'t</b> stop]]></string>"
    [unit] = read_units(write(tmp_path, body))
    assert (unit.text, unit.form) == ("<b>Don't</b> stop", "html")
    written = translated(tmp_path, body, "<b>Não</b> 'pare' ]]>")
    assert written == "<string name='a'><![CDATA[<b>Não</b> \\'pare\\' ]]]]><![CDATA[>]]></string>"


def test_tags_in_a_cdata_section_keep_their_quotation_marks(tmp_path: Path) -> None:
    body = """<string name="a"><![CDATA[<a href="x" title='two  words'>Don\\'t click</a> "here"]]></string>"""
    [unit] = read_units(write(tmp_path, body))
    assert unit.text == """<a href="x" title='two  words'>Don't click</a> here"""
    written = translated(tmp_path, body, """<a href="x" title='two  words'>Não 'clique'</a>""")
    assert written == ("""<string name="a"><![CDATA[<a href="x" title='two  words'>Não \\'clique\\'</a>]]></string>""")


def test_an_ampersand_beside_escaped_tags_is_escaped_once(tmp_path: Path) -> None:
    body = '<string name="a">Tom &amp; Jerry &lt;b>run&lt;/b> home</string>'
    written = translated(tmp_path, body, "Tom &amp; Jerry <b>correm</b>")
    assert written == '<string name="a">Tom &amp; Jerry &lt;b&gt;correm&lt;/b&gt;</string>'
    html = '<string name="a">Tom &amp;amp; Jerry &lt;b>run&lt;/b> home</string>'
    assert "Tom &amp;amp; Jerry" in translated(tmp_path, html, "Tom &amp; Jerry <b>correm</b>")


def test_plural_forms_of_the_target_language_are_added(tmp_path: Path) -> None:
    one, other = '<item quantity="one">%d day</item>', '<item quantity="other">%d days</item>'
    body = f'<plurals name="b">\n    {one}\n    {other}\n</plurals>'
    written = translate_file(write(tmp_path, body), lambda unit: unit.text.replace("day", "dzień"), POLISH).decode()
    assert (
        '<item quantity="one">%d dzień</item>\n    <item quantity="other">%d dzieńs</item>\n    '
        '<item quantity="few">%d dzieńs</item>\n    <item quantity="many">%d dzieńs</item>\n</plurals>'
    ) in written


def test_an_uncertain_string_has_a_comment(tmp_path: Path) -> None:
    path = write(tmp_path, '  <string name="a">One</string>')
    written = translate_file(path, lambda _: Translated(text="Um", flags=("REPETITION",))).decode()
    assert '\n  <!-- latimer: REPETITION -->\n  <string name="a">Um</string>\n' in written
