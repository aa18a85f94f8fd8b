"""XML of any vocabulary."""

from __future__ import annotations

from pathlib import Path

from tests.unit.files.documents import read_texts, translate_file


def write(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "a.xml"
    path.write_text(f'<?xml version="1.0"?>\n<book>{body}</book>\n')
    return path


def test_an_element_with_text_is_a_unit_with_its_inline_elements(tmp_path: Path) -> None:
    body = "<title>Tea</title>\n<para>Drink <emph>hot</emph> tea\n   now &amp; <b/>then</para><n>12</n>"
    path = write(tmp_path, body)
    assert read_texts(path) == ["Tea", "Drink <g1>hot</g1> tea now &amp; <x2/>then"]
    assert translate_file(path) == path.read_bytes()
    written = translate_file(path, lambda unit: "Chá" if unit.text == "Tea" else "Beba chá <g1>quente</g1><x2/>")
    assert written.decode() == path.read_text().replace("Tea", "Chá").replace(
        "Drink <emph>hot</emph> tea\n   now &amp; <b/>then", "Beba chá <emph>quente</emph><b/>"
    )


def test_a_list_in_a_paragraph_divides_its_text(tmp_path: Path) -> None:
    path = write(tmp_path, "<para>Before <list><i>One</i><i>Two</i></list> after</para>")
    assert read_texts(path) == ["Before", "One", "Two", "after"]
    written = translate_file(path, lambda unit: unit.text.upper()).decode()
    assert "<para>BEFORE <list><i>ONE</i><i>TWO</i></list> AFTER</para>" in written


def test_marked_elements_comments_and_cdata_stay(tmp_path: Path) -> None:
    body = (
        "<a translate='no'>No</a><b xmlns:its='http://www.w3.org/2005/11/its' its:translate='no'>No</b>"
        "<c translatable='false'>No</c><!-- No --><d><![CDATA[No]]></d><e>Use <f translate='no'>ls</f> now</e>"
    )
    assert read_texts(write(tmp_path, body)) == ['Use <g1 translate="no">ls</g1> now']


def test_lines_are_kept_where_the_document_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "<a>One\n  two</a><b xml:space='preserve'>One\n  two</b>")
    assert read_texts(path) == ["One two", "One\n  two"]
