"""EPUB: chapters in reading order, contents and title."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError, ReadOptions
from tests.unit.files.documents import read_member, read_texts, translate_file, write_zip

PORTUGUESE = ReadOptions(source_language="en", target_language="pt")
PACKAGE = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>The Book</dc:title><dc:language>en</dc:language><dc:creator>A Person</dc:creator></metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="text/b%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
<item id="t" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>
<spine toc="t"><itemref idref="b"/><itemref idref="a"/></spine></package>"""


def page(body: str) -> str:
    return (
        '<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"><head><title>Page title</title></head>'
        f"<body>{body}</body></html>"
    )


def write_book(path: Path, first: str, second: str = "<p>Second</p>", extra: dict[str, str] | None = None) -> Path:
    container = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    return write_zip(
        path,
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/book.opf": PACKAGE,
            "OEBPS/text/a.xhtml": page(second),
            "OEBPS/text/b b.xhtml": page(first),
            "OEBPS/nav.xhtml": page("<nav><ol><li><a href='x'>Start</a></li></ol></nav>"),
            "OEBPS/toc.ncx": "<ncx><a><text>The Book</text></a><navLabel><text>Start</text></navLabel></ncx>",
            **(extra or {}),
        },
    )


def test_texts_come_in_reading_order(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.epub", "<h1>First</h1>")
    title = "Page title"
    assert read_texts(path) == ["The Book", title, "First", title, "Second", title, "Start", "The Book", "Start"]


def test_inline_elements_are_tags_and_code_stays(tmp_path: Path) -> None:
    body = (
        "<div>Loose text\n  in lines <p>A <em>fine</em> word,<br/>use <code>ls</code>&nbsp;&amp; "
        '<span translate="no">Bash</span><img src="x"/>!</p> after</div><pre>code here</pre><p><a href="u">All</a></p>'
    )
    path = write_book(tmp_path / "a.epub", body)
    assert read_texts(path)[2:6] == [
        "Loose text in lines",
        'A <g1>fine</g1> word,<br id="2"/>use <g3 translate="no">ls</g3>\u00a0&amp; <g4 translate="no">Bash</g4>!',
        "after",
        "All",
    ]


def test_a_translation_keeps_all_other_bytes(tmp_path: Path) -> None:
    body = "<p>\n  A <em class='x'>fine</em>\n  word</p>\n<!-- note --><p id=\"q\"><b>Whole</b></p>"
    path = write_book(tmp_path / "a.epub", body)
    new = {"A <g1>fine</g1> word": "Uma palavra <g1>fina</g1>", "Whole": "Inteiro"}
    written = translate_file(path, lambda unit: new.get(unit.text, unit.text))
    expected = page(body.replace("A <em class='x'>fine</em>\n  word", "Uma palavra <em class='x'>fina</em>"))
    assert read_member(written, "OEBPS/text/b b.xhtml") == expected.replace("Whole", "Inteiro")


def test_the_languages_of_the_book_change(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.epub", "<p>First</p>")
    assert translate_file(path) == path.read_bytes()
    written = translate_file(path, options=PORTUGUESE)
    assert "<dc:language>pt</dc:language>" in read_member(written, "OEBPS/book.opf")
    assert 'xml:lang="pt"' in read_member(written, "OEBPS/text/a.xhtml")


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"META-INF/encryption.xml": '<e><CipherReference URI="OEBPS/text/a.xhtml"/></e>'}, "is protected"),
        ({"OEBPS/text/a.xhtml": "<html><p>Open</html>"}, "is no well-formed XML"),
        ({"META-INF/container.xml": "<container/>"}, "names no package document"),
    ],
)
def test_bad_books_are_refused(tmp_path: Path, extra: dict[str, str], reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        read_texts(write_book(tmp_path / "a.epub", "<p>First</p>", extra=extra))
    with pytest.raises(FileError, match="is no EPUB book"):
        read_texts(write_zip(tmp_path / "b.epub", {"a": "b"}))
