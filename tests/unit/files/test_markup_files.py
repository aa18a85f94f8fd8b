"""Markdown and HTML: blocks as units, kept parts, link definitions, encodings, and bytes that stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

README = """\
---
title: Kept
---

# A title

A paragraph with a [link][site] and
*emphasis*.

* An item

  with a second paragraph

      and code in it
* Another

```python
code = "kept"

more = 1
```

Text before a fence
```
kept by the server
```

<!-- a comment

over lines -->
After it.

[site]: https://example.org "The site"
[Other]: https://example.org/other
[^1]: A footnote.
"""
PAGE = """\
<!DOCTYPE html>
<html class="a" lang="en">
<head><title>A page</title><meta charset="utf-8"><script>let a = "<p>kept</p>";</script>
<style>p { content: "kept" }</style></head>
<body>
<h1 title="kept">Head &amp; line</h1>
<p>Text with <b>bold</b>, a<br>break and <a href="x?a=1&b=2">a link</a>.</p>
<pre>kept <b>code</b></pre>
<div><a href="y"><p>One</p><p>Two</p></a> tail <i>open</div>
<p translate="no">kept</p><p>A name: <span class="x notranslate">Kept</span> here</p>
<ul><li>Item<li>12</ul><!-- <p>kept</p> -->
</body></html>
"""


def test_blocks_of_markdown_are_units(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "README.md", README))
    assert [unit.text for unit in units] == [
        "# A title",
        'A paragraph with a [link][site] and\n*emphasis*.\n\n[site]: https://example.org "The site"',
        "* An item\n\n  with a second paragraph\n\n      and code in it\n* Another",
        "Text before a fence\n```\nkept by the server\n```",
        "After it.",
        '[site]: https://example.org "The site"\n[Other]: https://example.org/other\n[^1]: A footnote.',
    ]
    assert {unit.form for unit in units} == {"markdown"}
    assert units[1].place == "line 7"


def test_link_definitions_are_taken_off_a_translation(tmp_path: Path) -> None:
    path = make_file(tmp_path, "README.md", README)
    assert translate_file(path) == README.encode()
    translated = translate_file(
        path, lambda text: text.replace("A paragraph", "Um parágrafo").replace("The site", "O sítio")
    )
    assert "Um parágrafo with a [link][site] and\n*emphasis*.\n\n* An item" in translated.decode()
    assert translate_file(path, lambda text: "lost" if "[link]" in text else text).decode() == README


def test_a_failed_block_leaves_the_others_translated(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.md", "One\n\nTwo\n\nThree\n")
    assert translate_file(path, lambda text: None if text == "Two" else text.upper()) == b"ONE\n\nTwo\n\nTHREE\n"


@pytest.mark.parametrize(
    "content", ["", "\ufeff", "```\ncode\n", "---\na: b\n---\n", "[a]: b\n", "\n\n", "~~~\n```\n~~~"]
)
def test_markdown_without_text_stays(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.md", content)
    assert read_texts(path) == []
    assert translate_file(path) == content.encode()


@pytest.mark.parametrize(
    ("content", "translated"),
    [
        (":::tip\nShort tip.\n:::\n", ":::tip\n[Short tip.]\n:::\n"),
        (":::tip A title\nText\nof it\n:::", ":::tip [A title]\n[Text\nof it]\n:::"),
        ("::: {.box}\nText\n:::", "::: {.box}\n[Text]\n:::"),
        (
            "1. Item\n\n   :::note[Title]\n   Text\n   here\n   :::\n",
            "[1. Item]\n\n   :::note[[Title]]\n   [Text\n   here]\n   :::\n",
        ),
        (
            '!!! note "Title"\n    The body\n    of it.\n\n    - Item\n\n    ```\n    code\n    ```\n\nEnd.\n',
            '!!! note "[Title]"\n    [The body\n    of it.]\n\n    [- Item]\n\n    ```\n    code\n    ```\n\n[End.]\n',
        ),
        ("??? tip\n\tBody\n", "??? tip\n\t[Body]\n"),
        ('=== "A tab"\n\n    Text\n', '=== "[A tab]"\n\n    [Text]\n'),
        ('!!! note "A "quoted" title"\n    Body.\n', '!!! note "[A "quoted" title]"\n    [Body.]\n'),
        ("=== 'One tab'\n\n    Body.\n", "=== '[One tab]'\n\n    [Body.]\n"),
        (":::note[See [this]]\nText.\n:::\n", ":::note[[See [this]]]\n[Text.]\n:::\n"),
        ("{% note %}\nText.\n{% endnote %}\n", "{% note %}\n[Text.]\n{% endnote %}\n"),
        ("{{< note >}}\nText.\n{{< /note >}}\n", "{{< note >}}\n[Text.]\n{{< /note >}}\n"),
        ("Text\n{: .class}\n", "[Text]\n{: .class}\n"),
        (
            "Apple\n:   A red fruit\n    of a tree.\n:   A company.\n",
            "[Apple]\n:   [A red fruit\n    of a tree.]\n:   [A company.]\n",
        ),
        ("| The line\r\n| Second line\r\n", "| [The line]\r\n| [Second line]\r\n"),
        ("One\n<!-- mark -->\nTwo\n", "[One]\n<!-- mark -->\n[Two]\n"),
        ("| a | b\n|---|---\n| c | d\n", "[| a | b\n|---|---\n| c | d]\n"),
    ],
)
def test_lines_of_marks_keep_their_bytes_and_divide_the_text(tmp_path: Path, content: str, translated: str) -> None:
    path = make_file(tmp_path, "a.md", content)
    assert translate_file(path, lambda text: f"[{text}]").decode() == translated
    assert translate_file(path) == content.encode()


@pytest.mark.parametrize(
    ("content", "translation", "written"),
    [
        ('!!! note "Title"\n', 'Um "bom"\ntítulo', '!!! note "Um "bom" título"\n'),
        (":::note[Title]\nx\n:::\n", "Um] título", ":::note[Um título]\n"),
        ("::: note Title\nx\n:::\n", "Nota: {um} título", "::: note Nota um título\n"),
    ],
)
def test_a_translated_title_stays_the_title_of_its_line(
    tmp_path: Path, content: str, translation: str, written: str
) -> None:
    path = make_file(tmp_path, "a.md", content)
    translated = translate_file(path, lambda text: translation if text == "Title" else text).decode()
    assert translated.startswith(written)
    assert " ".join(translation.translate(dict.fromkeys(b"]:{}\n", " ")).split()) in read_texts(
        make_file(tmp_path, "b.md", translated)
    )


markdown = st.lists(
    st.sampled_from(
        [
            "a b",
            "# t",
            "- x",
            "1. y",
            "  in",
            "    code",
            "```",
            "~~~",
            "",
            "",
            "<!--",
            "-->",
            "<pre>",
            "</pre>",
            "[a]: b",
            "[a]",
            "---",
            "> q",
            "\t",
            ":::tip a",
            '!!! note "t"',
            "    body",
            ":   definition",
            "| line",
            "<!-- c -->",
        ]
    )
)


@given(markdown, st.sampled_from(["\n", "\r\n", "\r"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_every_markdown_comes_out_as_it_was(tmp_path: Path, lines: list[str], line_end: str) -> None:
    path = make_file(tmp_path, "a.md", line_end.join(lines))
    assert translate_file(path) == path.read_bytes()


def test_runs_of_inline_content_are_units_of_html(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "a.html", PAGE))
    assert [unit.text for unit in units] == [
        "A page",
        "Head &amp; line",
        'Text with <b>bold</b>, a<br>break and <a href="x?a=1&b=2">a link</a>.',
        "One",
        "Two",
        "tail",
        "open",
        'A name: <span class="x notranslate">Kept</span> here',
        "Item",
    ]
    assert {unit.form for unit in units} == {"html"}


def test_html_keeps_all_but_the_texts(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.html", PAGE)
    assert translate_file(path) == PAGE.encode()
    translated = translate_file(path, lambda text: text.replace("Item", "Item 1"), target_language="pt-BR").decode()
    assert translated == PAGE.replace("Item", "Item 1").replace('lang="en"', 'lang="pt-BR"')


def test_html_declares_its_encoding(tmp_path: Path) -> None:
    page = '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"><p>Café “x”</p>'
    path = make_file(tmp_path, "a.htm", page.encode("cp1252"))
    assert read_texts(path) == ["Café “x”"]
    assert translate_file(path, lambda text: text + " Ж") == page.replace("</p>", " &#1046;</p>").encode("cp1252")
    wrong = make_file(tmp_path, "b.html", '<meta charset="utf-8">\n<p>Café</p>'.encode("latin-1"))
    with pytest.raises(FileError, match=r"line 2: this line is not utf-8; name the encoding"):
        read_texts(wrong)


@pytest.mark.parametrize(
    "content", ["", "\ufeff", "<p>", "<!-- a", "<script>a", "<p title='a'>12</p>", "<", "<![CDATA[a"]
)
def test_html_without_text_stays(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.html", content)
    assert read_texts(path) == []
    assert translate_file(path) == content.encode()


pieces = st.lists(
    st.sampled_from(
        [
            "a",
            " ",
            "\n",
            "<p>",
            "</p>",
            "<b>",
            "</b>",
            "<br>",
            "<i x='>'>",
            "</i>",
            "<!--",
            "-->",
            "<pre>",
            "</pre>",
            "<",
            ">",
            "&amp;",
            "<script>",
            "</script>",
            "<a translate=no>",
            "</a>",
            '"',
        ]
    )
)


@given(pieces)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_every_html_comes_out_as_it_was(tmp_path: Path, parts: list[str]) -> None:
    path = make_file(tmp_path, "a.html", "".join(parts))
    assert translate_file(path) == path.read_bytes()
    tags = [part for part in parts if part.startswith("<")]
    translated = translate_file(path, lambda text: text + "é").decode()
    assert [translated.count(tag) for tag in tags] == ["".join(parts).count(tag) for tag in tags]


@pytest.mark.parametrize("piece", ['<a "', "<a ", "<!", '<p class="', "<b>x", "<i>y</b>"])
def test_tags_that_are_never_closed_take_linear_time(tmp_path: Path, piece: str) -> None:
    path = make_file(tmp_path, "a.html", piece * 20_000)
    assert translate_file(path) == path.read_bytes()
