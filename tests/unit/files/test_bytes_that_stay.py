"""Line ends, byte order marks and missing last line ends: a document whose texts did not change keeps every byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latimer.files import FORMATS
from tests.unit.files.round_trips import make_file, read_texts, translate_file

# A file of each format of text. The zipped ones, whose lines are those of their programs, have tests of their own.
TEXTS = {
    "text": "One line.\n\n  Another line. \n",
    "markdown": '---\ntitle: x\n---\n# Title\n\nSome *text* here.\n\n!!! note "A note"\n    Body.\n\n'
    "| a | b \\| c |\n|--|--|\n",
    "html": '<!DOCTYPE html>\n<html lang="en">\n<body>\n<p>Some <b>text</b>\nhere.</p>\n<!-- x -->\n</body>\n</html>\n',
    "json": '{\n  "a": "Some text",\n  "b": ["More \\u00e9 text", 1.50]\n}\n',
    "jsonl": '{"a": "Some text"}\n\n{"a": "More text"}\n',
    "arb": '{\n  "@@locale": "en",\n  "a": "Some text"\n}\n',
    "yaml": "# comment\na: Some text\nb: |\n  A block\n  of lines\nc: 'It''s quoted'\nd: >-\n  folded\n  text\n",
    "csv": 'id,text\n1,"A cell\nwith ""quotes"", and lines"\n2,Plain text\n3,\n',
    "tsv": 'id\ttext\n1\tSome \\t text\n2\t"Quoted" text\n',
    "po": 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n#, fuzzy\nmsgid "a b"\nmsgstr "c"\n',
    "properties": "# comment\na = Some text \\\n    that goes on\nb:More\n",
    "srt": "1\n00:00:01,000 --> 00:00:02,000\n<i>Some text.</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nMore.\nLines.\n",
    "vtt": "WEBVTT - x\n\nNOTE a note\n\n1\n00:01.000 --> 00:02.000 align:start\n<v Bob>Some text.\n",
    "ass": "[Script Info]\nTitle: x\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
    "Dialogue: 0,0:00:01.00,0:00:02.00,D,{\\an8}Some text.\\NMore.\n",
    "flat-odf": '<?xml version="1.0"?>\n<office:document'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"\n'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">\n<text:p>A\n text.</text:p>\n</office:document>\n',
    "xliff": '<?xml version="1.0"?>\n<xliff version="1.2">\n<file source-language="en" target-language="en">\n<body>\n'
    '<trans-unit id="1" approved="yes">\n<source>Some text</source>\n</trans-unit>\n</body>\n</file>\n</xliff>\n',
    "tmx": '<?xml version="1.0"?>\n<tmx version="1.4">\n<header srclang="en"/>\n<body>\n<tu>\n<tuv xml:lang="en">'
    "<seg>Some text</seg></tuv>\n</tu>\n</body>\n</tmx>\n",
    "android": "<?xml version='1.0'?>\n<resources>\n  <!-- x -->\n  <string name='a'>It\\'s <b>some</b> text</string>\n"
    "</resources>\n",
    "strings": '/* A comment */\n"a" = "Some \\"text\\"";\n\n"b" = "More\\ntext";\n',
    "stringsdict": '<plist version="1.0">\n<dict>\n<key>a</key>\n<dict>\n<key>NSStringLocalizedFormatKey</key>\n'
    "<string>Some %#@x@ text</string>\n</dict>\n</dict>\n</plist>\n",
    "xcstrings": json.dumps(
        {"sourceLanguage": "en", "strings": {"Some text": {"shouldTranslate": False}}, "version": "1.0"},
        indent=2,
        separators=(",", " : "),
    )
    + "\n",
    "qt": '<?xml version="1.0"?>\n<TS version="2.1" language="en">\n<context>\n<message>\n<source>Some text</source>\n'
    "<translation>Some text</translation>\n</message>\n</context>\n</TS>\n",
    "resx": "<?xml version='1.0'?>\n<root>\n  <data name='a'>\n    <value>Some &amp;text</value>\n  </data>\n</root>\n",
    "xml": "<?xml version='1.0'?>\n<page>\n  <p>Some <b>text</b>.</p>\n  <![CDATA[ x ]]>\n</page>\n",
}
ZIPPED = {"docx", "pptx", "xlsx", "odf", "epub"}


def test_every_format_that_can_be_written_is_checked() -> None:
    assert {each.name for each in FORMATS if each.translates} == {*TEXTS, *ZIPPED}


@pytest.mark.parametrize("ends_line", [True, False], ids=["last line end", "no last line end"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "mark"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_document_keeps_its_bytes(tmp_path: Path, name: str, line_end: str, mark: str, ends_line: bool) -> None:
    text = TEXTS[name] if ends_line else TEXTS[name].removesuffix("\n")
    suffix = next(each.suffixes[0] for each in FORMATS if each.name == name)
    path = make_file(tmp_path, f"a{suffix}", mark + text.replace("\n", line_end))
    assert translate_file(path, name=name) == path.read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("name", sorted({*TEXTS} - {"po", "xliff", "tmx", "xcstrings", "qt"}))
def test_new_texts_have_the_line_ends_of_their_file(tmp_path: Path, name: str, line_end: str, encoding: str) -> None:
    suffix = next(each.suffixes[0] for each in FORMATS if each.name == name)
    data = TEXTS[name].replace("\n", line_end).encode(encoding)
    path = make_file(tmp_path, f"a{suffix}", data)
    before = read_texts(path, name=name)
    assert before
    written = make_file(tmp_path, f"b{suffix}", translate_file(path, lambda text: f"{text} Z", name=name))
    marked = translate_file(path, lambda text: f"{text} Z", flags=("NUMBER_MISMATCH",), name=name)
    for each in (written.read_bytes(), marked):
        rest = each.decode(encoding).replace(line_end, "")
        assert (rest.count("\n"), rest.count("\r")) == (0, 0)
    assert [each.split() for each in read_texts(written, name=name)] == [[*each.split(), "Z"] for each in before]
