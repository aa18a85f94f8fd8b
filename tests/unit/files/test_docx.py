"""DOCX: paragraphs with runs, links, tracked changes, fields, notes and text boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError, Unit
from tests.unit.files.documents import read_member, read_texts, read_units, translate_file, write_zip
from tests.unit.files.packages import W, relationships, write_docx

BOLD = "<w:rPr><w:b/></w:rPr>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r w:rsidR="00A1">{properties}<w:t xml:space="preserve">{text}</w:t></w:r>'


def paragraph(*content: str) -> str:
    return f'<w:p w:rsidR="00A2"><w:pPr><w:jc w:val="both"/></w:pPr>{"".join(content)}</w:p>'


def body_of(data: bytes) -> str:
    text = read_member(data, "word/document.xml")
    return text[text.index("<w:body>") + 8 : text.index("</w:body>")]


def translated(tmp_path: Path, content: str, translation: str) -> str:
    """Returns the paragraph with these runs after its only unit got a translation."""
    path = write_docx(tmp_path / "a.docx", paragraph(content))
    found = body_of(translate_file(path, lambda _: translation))
    before, after = paragraph("|").split("|")
    assert found.startswith(before)
    assert found.endswith(after)
    return found.removeprefix(before).removesuffix(after)


def only_text(tmp_path: Path, content: str) -> str:
    [text] = read_texts(write_docx(tmp_path / "a.docx", paragraph(content)))
    return text


def test_runs_of_one_look_are_one_text(tmp_path: Path) -> None:
    content = run("The qu") + '<w:proofErr w:type="spellStart"/>' + run("ick", '<w:rPr><w:lang w:val="en-GB"/></w:rPr>')
    assert only_text(tmp_path, content + run(" fox")) == "The quick fox"


def test_a_run_of_another_look_keeps_it_where_its_words_go(tmp_path: Path) -> None:
    content = run("Press the ") + run("red", BOLD) + run(" button")
    assert only_text(tmp_path, content) == "Press the <g1>red</g1> button"
    assert translated(tmp_path, content, "Prima o botão <g1>vermelho &amp; azul</g1>") == (
        '<w:r><w:t xml:space="preserve">Prima o botão </w:t></w:r>'
        f'<w:r>{BOLD}<w:t xml:space="preserve">vermelho &amp; azul</w:t></w:r>'
    )


def test_links_insertions_and_content_controls_stay_around_their_words(tmp_path: Path) -> None:
    link = f'<w:hyperlink r:id="rId9">{run("here")}</w:hyperlink>'
    insertion = f'<w:ins w:id="1" w:author="A">{run("soon")}</w:ins>'
    control = f"<w:sdt><w:sdtPr><w:tag/></w:sdtPr><w:sdtContent>{run('you')}</w:sdtContent></w:sdt>"
    content = run("Click ") + link + run(" ") + insertion + run(" if ") + control + run(" like")
    assert only_text(tmp_path, content) == "Click <g1>here</g1> <g2>soon</g2> if <g3>you</g3> like"
    written = translated(tmp_path, content, "<g3>A</g3> <g1>B</g1> <g2>C</g2>")
    plain = '<w:r><w:t xml:space="preserve">{}</w:t></w:r>'
    assert f'<w:hyperlink r:id="rId9">{plain.format("B")}</w:hyperlink>' in written
    assert f'<w:ins w:id="1" w:author="A">{plain.format("C")}</w:ins>' in written
    assert f"<w:sdtPr><w:tag/></w:sdtPr><w:sdtContent>{plain.format('A')}</w:sdtContent>" in written


def test_deleted_text_is_left_alone(tmp_path: Path) -> None:
    deletion = '<w:del w:id="1"><w:r><w:delText>old</w:delText></w:r></w:del>'
    content = run("A ") + deletion + run("new text")
    assert only_text(tmp_path, content) == "A <x1/>new text"
    assert deletion in translated(tmp_path, content, "Um texto <x1/>novo")


def test_breaks_tabs_notes_and_bookmarks_keep_their_places(tmp_path: Path) -> None:
    note = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="2"/></w:r>'
    mark = '<w:bookmarkStart w:id="0" w:name="_Toc1"/>'
    content = mark + "<w:r><w:t>One</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>" + note + run(" four.")
    assert only_text(tmp_path, content) == 'One<br id="1"/>two<br id="2"/>three<x3/> four.'
    written = translated(tmp_path, content, 'A<br id="1"/>b<br id="2"/>c<x3/> d.')
    assert written.startswith(mark)
    assert written.count("<w:tab/>") == written.count("<w:br/>") == 1
    assert f'c</w:t></w:r>{note}<w:r><w:t xml:space="preserve"> d.' in written


def test_bookmarks_and_comments_stay_around_their_words(tmp_path: Path) -> None:
    comment = '<w:commentRangeStart w:id="1"/>{}<w:commentRangeEnd w:id="1"/>'
    crossed = '<w:bookmarkStart w:id="7"/>' + comment.format(run("green") + '<w:bookmarkEnd w:id="7"/>') + run(" house")
    assert only_text(tmp_path, run("The ") + crossed) == "The <g1><x2/>green</g1><x3/> house"
    content = run("The ") + comment.format(run("green")) + run(" house")
    assert only_text(tmp_path, content) == "The <g1>green</g1> house"
    plain = '<w:r><w:t xml:space="preserve">{}</w:t></w:r>'
    expected = plain.format("A casa ") + comment.format(plain.format("verde"))
    assert translated(tmp_path, content, "A casa <g1>verde</g1>") == expected


def complex_field(instruction: str, result: str) -> str:
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
        f'{result}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def test_the_result_of_a_computed_field_stays(tmp_path: Path) -> None:
    field = complex_field(" PAGE \\* MERGEFORMAT ", run("12"))
    content = run("See page ") + field + run(" for more")
    assert only_text(tmp_path, content) == 'See page <g1 translate="no">12</g1> for more'
    assert field in translated(tmp_path, content, 'Mais na página <g1 translate="no">12</g1>')


def test_a_link_made_by_a_field_stays_around_its_words(tmp_path: Path) -> None:
    field = complex_field(' HYPERLINK "http://example.org" ', run("our site"))
    content = run("See ") + field + run(".")
    assert only_text(tmp_path, content) == "See <g1>our site</g1>."
    written = translated(tmp_path, content, "<g1>Nosso sítio</g1>, veja.")
    assert (
        written
        == complex_field(' HYPERLINK "http://example.org" ', '<w:r><w:t xml:space="preserve">Nosso sítio</w:t></w:r>')
        + '<w:r><w:t xml:space="preserve">, veja.</w:t></w:r>'
    )


def test_a_field_may_reach_over_paragraphs(tmp_path: Path) -> None:
    start, end = complex_field(" TOC \\o ", "|").split("|")
    entry = run("Chapter one") + "<w:r><w:tab/></w:r>" + complex_field(" PAGEREF _Toc1 ", run("3"))
    path = write_docx(tmp_path / "a.docx", paragraph(start, entry) + paragraph(run("Chapter two")) + paragraph(end))
    assert [text.partition("<")[0] for text in read_texts(path)] == ["Chapter one", "Chapter two"]


def test_a_text_box_in_a_paragraph_is_translated_with_it(tmp_path: Path) -> None:
    box = f"<w:pict><w:txbxContent>{paragraph(run('In the box'))}</w:txbxContent></w:pict>"
    path = write_docx(tmp_path / "a.docx", paragraph(run("Before"), f"<w:r>{box}</w:r>", run(" after")))
    assert read_texts(path) == ["Before<x1/> after", "In the box"]
    written = body_of(translate_file(path, lambda unit: unit.text.upper().replace("X1", "x1")))
    assert "BEFORE" in written
    assert "<w:txbxContent>" in written
    assert "IN THE BOX" in written
    assert written.count("<w:p ") == 2


def test_headers_footers_notes_and_comments_follow_the_body(tmp_path: Path) -> None:
    part = "<w:hdr {}>{}</w:hdr>"
    path = write_docx(
        tmp_path / "a.docx",
        paragraph(run("Body")),
        {
            name: part.format(W, paragraph(run(name)))
            for name in ("comments.xml", "footnotes.xml", "footer1.xml", "header10.xml", "header9.xml", "styles.xml")
        },
    )
    expected = ["Body", "header9.xml", "header10.xml", "footer1.xml", "footnotes.xml", "comments.xml"]
    assert read_texts(path) == expected
    assert read_units(path)[1].place == "word/header9.xml, paragraph 1"


def test_the_same_texts_leave_the_file_as_it_is(tmp_path: Path) -> None:
    content = run("A ") + run("bold", BOLD) + complex_field(" PAGE ", run("1")) + "<w:proofErr/>" + run(" word")
    path = write_docx(tmp_path / "a.docx", paragraph(content))
    assert translate_file(path) == path.read_bytes()


def test_a_failed_unit_keeps_its_source(tmp_path: Path) -> None:
    path = write_docx(tmp_path / "a.docx", paragraph(run("One")) + paragraph(run("Two")))
    written = body_of(translate_file(path, lambda unit: None if unit.text == "One" else "Dois"))
    assert "One" in written
    assert "Dois" in written


@pytest.mark.parametrize(
    "translation", ["<g1>", "</g1></g1>", "a < b & c > d", "\x00\x0b", "<x9/><w:p>", "]]>", "\ud800"]
)
def test_any_translation_leaves_the_document_valid(tmp_path: Path, translation: str) -> None:
    path = write_docx(tmp_path / "a.docx", paragraph(run("Some plain words "), run("bold", BOLD), run(" and more")))
    written = tmp_path / "b.docx"
    written.write_bytes(translate_file(path, lambda _: translation))
    assert len(read_texts(written)) <= 1


def test_the_strict_variant_and_other_prefixes_are_read(tmp_path: Path) -> None:
    text = (
        '<x:document xmlns:x="http://purl.oclc.org/ooxml/wordprocessingml/main"><x:body><x:p><x:r><x:t>Text</x:t></x:r>'
        "</x:p></x:body></x:document>"
    )
    members = {"_rels/.rels": relationships({"word/document.xml": "officeDocument"}), "word/document.xml": text}
    path = write_zip(tmp_path / "a.docx", members)
    assert '<x:t xml:space="preserve">Novo</x:t>' in read_member(
        translate_file(path, lambda _: "Novo"), "word/document.xml"
    )


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a.txt": "x"}, "is no DOCX document"),
        ({"_rels/.rels": relationships({"word/document.xml": "officeDocument"})}, "is no DOCX document"),
        ({"_rels/.rels": "<Relation"}, "is no well-formed XML"),
        ({"_rels/.rels": '<!DOCTYPE a [<!ENTITY b "c">]><a/>'}, "defines an entity"),
    ],
)
def test_other_archives_are_refused(tmp_path: Path, members: dict[str, str], reason: str) -> None:
    path = write_zip(tmp_path / "a.docx", members)
    with pytest.raises(FileError, match=reason):
        read_texts(path)


def test_units_have_no_context_of_their_own(tmp_path: Path) -> None:
    path = write_docx(tmp_path / "a.docx", paragraph(run("Text")))
    assert read_units(path) == [Unit(text="Text", place="word/document.xml, paragraph 1")]
