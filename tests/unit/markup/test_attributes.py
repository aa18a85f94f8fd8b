"""Tests of the attributes that people read."""

from __future__ import annotations

import pytest

from latimer_server.text.markup import TextFormat, find_attributes, write_value


def values_of(source: str, text_format: TextFormat = TextFormat.HTML, ignored: tuple[str, ...] = ()) -> list[str]:
    return [attribute.value for attribute in find_attributes(source, text_format, ignored)]


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ('<img src="a.png" alt="A red &amp; blue car"><a title=\'Go "home"\'>x</a>', ["A red & blue car", 'Go "home"']),
        ("<input placeholder=Name aria-label='Your name' value='kept' name=alt>", ["Name", "Your name"]),
        ("<input type=submit value=Send><input type=text value=kept>", ["Send"]),
        ("<meta name=description content='A book'><meta name=viewport content='width=device'>", ["A book"]),
        ("<meta property='og:title' content='A book'><meta content=kept>", ["A book"]),
        ("<span translate=no title=kept><i title=kept>x</i></span><i title=read>x</i>", ["read"]),
        ("<img alt=''><img alt='12 %'><!-- <a title='kept'> --><script>a('<a title=kept>')</script>", []),
    ],
)
def test_attributes_that_people_read_are_found(source: str, values: list[str]) -> None:
    assert values_of(source) == values


def test_attributes_of_ignored_elements_and_of_markdown_are_left_out() -> None:
    assert values_of("<x title='kept'/><y title='read'/>", TextFormat.XML, ("x",)) == ["read"]
    assert values_of("<a title='kept'>x</a>", TextFormat.MARKDOWN) == []


@pytest.mark.parametrize(
    ("source", "text", "written"),
    [
        ('<a title="x">', 'a "b" & <c>', '"a &quot;b&quot; &amp; &lt;c>"'),
        ("<a title='x'>", "d'água", "'d&#39;água'"),
        ("<a title=x>", "two words", '"two words"'),
    ],
)
def test_a_new_value_is_escaped_and_in_quotation_marks(source: str, text: str, written: str) -> None:
    (attribute,) = find_attributes(source, TextFormat.HTML, ())
    assert write_value(attribute, text) == written


@pytest.mark.parametrize("unit", ["<a title=x>", "<a title='", "<p translate=no title=x>", "<meta content=x "])
def test_hostile_tags_take_linear_time(unit: str) -> None:
    assert len(values_of(unit * (200_000 // len(unit)))) <= 200_000
    assert len(values_of(f"<meta name=description {'content=x ' * 20_000}>")) == 20_000
