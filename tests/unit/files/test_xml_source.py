"""XML with positions, and XML that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError
from latimer.files.markup.xml_source import XmlText, escape_text, read_xml

PATH = Path("a.xml")


def test_elements_know_their_positions() -> None:
    source = read_xml(
        PATH, b'<?xml version="1.0"?><!-- c --><a x="1"><b y=\'2 &gt; 1\'/>t &amp; u<![CDATA[<v>]]></a>\n'
    )
    root = source.root
    child = root.first("b")
    assert child is not None
    assert child.is_empty_tag
    assert source.text[child.start : child.end] == "<b y='2 &gt; 1'/>"
    assert source.text[slice(*root.inner)] == "<b y='2 &gt; 1'/>t &amp; u<![CDATA[<v>]]>"
    assert child.get("y") == "2 > 1"
    assert root.text == "t & u<v>"
    assert [node.is_cdata for node in root.nodes if isinstance(node, XmlText)] == [False, True]


def test_names_are_found_by_namespace_whatever_their_prefix() -> None:
    root = read_xml(PATH, b'<q:a xmlns:q="urn:one" xmlns:r="urn:two" r:x="1"><b xmlns="urn:three"/></q:a>').root
    assert (root.local, root.namespace, root.prefix) == ("a", "urn:one", "q:")
    assert root.get("x", "urn:two") == "1"
    assert root.get("x") is None
    assert [each.namespace for each in root.elements()] == ["urn:three"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "shift_jis", "windows-1251"])
def test_the_encoding_stays(encoding: str) -> None:
    text = {"iso-8859-1": "é", "shift_jis": "日本", "windows-1251": "Привет"}.get(encoding, "é日本🙂")
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    data = f'<?xml version="1.0" encoding="{declared}"?><a>{text}</a>'.encode(encoding)
    source = read_xml(PATH, data)
    assert source.root.text == text
    assert source.encode(source.text) == data


def test_a_character_that_the_encoding_lacks_becomes_a_reference() -> None:
    source = read_xml(PATH, b'<?xml version="1.0" encoding="iso-8859-1"?><a>x</a>')
    assert source.encode("<a>\u4e2d</a>") == b"<a>&#20013;</a>"


def test_characters_that_xml_forbids_are_left_out() -> None:
    assert escape_text("a\x00\x0b<b>\ud800&") == "a&lt;b&gt;&amp;"


@pytest.mark.parametrize(
    ("data", "place", "reason"),
    [
        (b"<a>\n<b></a>", "line 2", "mismatched tag"),
        (b"<a>&undefined;</a>", "line 1", "undefined entity"),
        (b"<a xmlns:p='u'>\n\n<q:b/></a>", "line 3", "unbound prefix"),
        (b"<a>\xff</a>", "line 1", "is not in the encoding utf-8"),
        (b'<?xml version="1.0" encoding="none-such"?><a/>', "", "is not known"),
        (b'<!DOCTYPE a [\n<!ENTITY b "text">\n]><a>&b;</a>', "line 2", "defines an entity"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "line 1", "defines an entity"),
        (b'<!DOCTYPE a [<!ENTITY % b "<!ENTITY c 1>"> %b;]><a/>', "line 1", "defines an entity"),
        (b"<a>" * 300 + b"</a>" * 300, "line 1", "deeper than 256"),
        (b"", "line 1", "no element found"),
        (b"PK\x03\x04", "line 1", "not well-formed"),
    ],
)
def test_bad_xml_is_refused_with_its_place(data: bytes, place: str, reason: str) -> None:
    with pytest.raises(FileError) as caught:
        read_xml(PATH, data)
    assert caught.value.place == place
    assert reason in caught.value.reason


def test_an_external_document_type_is_not_read_and_its_entities_stay() -> None:
    data = b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a>x&brand;y&nbsp;z</a>'
    root = read_xml(PATH, data).root
    assert root.text == "xy\u00a0z"
    assert len(root.nodes) == 3
