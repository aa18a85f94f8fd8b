"""YAML: units, styles of scalars, files of Rails, and bytes that stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from latimer.files.identifiers import is_identifier
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

RAILS = """\
# The texts of the shop
en:
  title: &shop "Our \\"shop\\"\\u00a0here"   # a comment
  open: yes
  since: 1999-12-31
  count: 12
  none: ~
  rule: 'It''s open'
  plain: Come in, %{name}
  same: *shop
  tag: !!str 42 rooms
  symbol: !ruby/symbol left
  note: |
    First line
      an indented one

  text: >-
    A folded text that goes
    on over lines.

    A second paragraph.
  list: [One, "two: {x}", 3]
  more:
    - Last
"""


def test_string_values_are_units(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "en.yml", RAILS))
    assert [unit.text for unit in units] == [
        'Our "shop"\u00a0here',
        "It's open",
        "Come in, %{name}",
        "42 rooms",
        "First line\n  an indented one",
        "A folded text that goes on over lines.\nA second paragraph.",
        "One",
        "two: {x}",
        "Last",
    ]
    assert (units[1].context, units[1].place) == ("en.rule", "line 8")
    assert units[6].context == "en.list[0]"


def test_the_language_of_a_rails_file_becomes_the_target(tmp_path: Path) -> None:
    path = make_file(tmp_path, "en.yml", RAILS)
    assert translate_file(path) == RAILS.encode()
    translated = translate_file(path, target_language="pt-BR").decode()
    assert translated == RAILS.replace("\nen:", "\npt-BR:")
    assert translate_file(path, target_language="no").decode() == RAILS.replace("\nen:", '\n"no":')
    two = make_file(tmp_path, "two.yml", "en: one\nde: eins\n")
    assert translate_file(two, target_language="pt") == two.read_bytes()


def test_new_texts_keep_the_style_where_it_can_hold_them(tmp_path: Path) -> None:
    path = make_file(tmp_path, "en.yml", RAILS)
    translated = translate_file(path, lambda text: text.replace("One", "yes").replace("Come in", "it's: #1")).decode()
    assert '  plain: "it\'s: #1, %{name}"\n' in translated
    assert 'list: ["yes", "two: {x}", 3]' in translated
    changed = translate_file(path, lambda text: text.upper() + " it's").decode()
    assert '  title: &shop "OUR \\"SHOP\\"\u00a0HERE it\'s"   # a comment\n' in changed
    assert "  rule: 'IT''S OPEN it''s'\n" in changed
    assert "  tag: !!str 42 ROOMS it's\n" in changed
    assert "  note: |\n    FIRST LINE\n      AN INDENTED ONE it's\n\n  text: >-\n    A FOLDED" in changed
    assert all(len(line) < 60 for line in changed.split("\n"))
    assert "\n\n    A SECOND PARAGRAPH.\n    it's\n  list:" in changed


@pytest.mark.parametrize(
    "text",
    [
        "No",
        "~",
        "12",
        "a: b",
        "- a",
        "# a",
        "a # b",
        "'",
        '"',
        "a\\b",
        "{a}",
        "[a",
        "a, b]",
        "é\u2028",
        "two\nlines",
        "two\n\n  lines",
        " a ",
        "@a",
        "!a",
        "&a",
        "*a",
        "%a",
        "|",
        "a:",
        "? a",
        "=",
        "x" * 200 + " y",
    ],
)
def test_any_text_reads_back_as_itself(tmp_path: Path, text: str) -> None:
    content = "a: plain\nb: 'single'\nc: \"double\"\nd: |\n  block\ne: >\n  folded\nf: [x]\n"
    translated = yaml.safe_load(translate_file(make_file(tmp_path, "a.yaml", content), lambda _: text))
    assert [translated[key] for key in "abc"] == [text] * 3
    assert translated["f"] == [text]
    assert [translated[key].strip() for key in "de"] == [text.strip()] * 2


def test_paths_choose_texts(tmp_path: Path) -> None:
    path = make_file(tmp_path, "en.yml", RAILS)
    assert read_texts(path, paths=("$.en.list[*]",)) == ["One", "two: {x}"]
    assert read_texts(path, paths=("$..rule", "en.more.*")) == ["It's open", "Last"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_come_out_as_they_were(tmp_path: Path, line_end: str, mark: str) -> None:
    path = make_file(
        tmp_path, "en.yml", mark + RAILS.replace("\n", line_end) + f"---{line_end}b: x{line_end}b: z{line_end}..."
    )
    assert translate_file(path) == path.read_bytes()
    assert read_texts(path)[-2:] == ["x", "z"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: b\n c: d\n", "line 2: it is no YAML: mapping values are not allowed here"),
        ("a: 'open\n", "it is no YAML"),
        ("a: [1, 2\n", "it is no YAML"),
        ("a:\n\t- b\n", "line 2: it is no YAML"),
        ("[" * 1001 + "]" * 1001, "nested more than 1,000 levels"),
        ("a: \x00\n", "a zero byte"),
        ("a: \x07\n", "it is no YAML"),
    ],
)
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_texts(make_file(tmp_path, "a.yaml", content))


@pytest.mark.parametrize("content", ["", "\ufeff", "# only a comment\n", "---\n...\n", "12\n"])
def test_files_without_texts_stay(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.yaml", content)
    assert read_texts(path) == []
    assert translate_file(path) == content.encode()


texts = st.text(alphabet=st.sampled_from("ab é'\"\\:#-,{}[]&*!|>%@\n日"), max_size=12)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(texts, max_size=3), max_size=3),
    st.sampled_from([None, "'", '"', "|", ">"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_what_pyyaml_writes_is_read_and_written(tmp_path: Path, value: dict[str, list[str]], style: str | None) -> None:
    path = make_file(
        tmp_path, "a.yaml", yaml.safe_dump(value, default_style=style, allow_unicode=True, sort_keys=False)
    )
    assert translate_file(path) == path.read_bytes()
    translated = yaml.safe_load(translate_file(path, lambda text: text + " 'é\": #"))
    found = [each for texts in translated.values() for each in texts]
    expected = [each for texts in value.values() for each in texts]
    for new, old in zip(found, expected, strict=True):
        changed = old + " 'é\": #" if any(map(str.isalpha, old)) and not is_identifier(old) else old
        # A block scalar keeps the line breaks at its end.
        assert new.replace("\n", "").strip() == changed.replace("\n", "").strip()


@pytest.mark.parametrize(("opening", "closing"), [("[x, ", "]"), ("{a: ", "}"), ("{a: [b, ", "]}")])
def test_brackets_that_are_nested_too_deep_are_refused_with_the_bound(
    tmp_path: Path, opening: str, closing: str
) -> None:
    deep = opening * 101 + "word" + closing * 101
    with pytest.raises(FileError, match="line 2: its brackets are nested more than 100 levels deep; write the outer"):
        read_texts(make_file(tmp_path, "a.yaml", f"# a comment\nk: {deep}\n"))
    flat = "".join(f"{opening * 40}word{closing * 40},\n" for _ in range(3))
    assert "word" in read_texts(make_file(tmp_path, "b.yaml", f"k: [{flat}]\n"))
