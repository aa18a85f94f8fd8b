"""CSV and TSV: units, columns, dialects."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

SHOP = 'id,name,"the, text",price\r\n1,Tea,"Hot, ""green"" tea\r\nfrom Japan",4.50\r\n2,"",plain text,3\r\n'


def parse(content: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def test_chosen_columns_are_units_and_the_rest_keeps_its_bytes(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.csv", SHOP)
    units = read_units(path, columns=("the, text",))
    assert [unit.text for unit in units] == ['Hot, "green" tea\r\nfrom Japan', "plain text"]
    assert [unit.place for unit in units] == ["line 2, column 3", "line 4, column 3"]
    assert units[0].context == "the, text"
    assert translate_file(path, columns=("name", "4", "the, text")) == SHOP.encode()


def test_new_text_is_quoted_where_it_must_be(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.csv", SHOP)
    translated = translate_file(path, lambda text: text + ', "x"', columns=("the, text",))
    assert parse(translated)[1:] == [
        ["1", "Tea", 'Hot, "green" tea\r\nfrom Japan, "x"', "4.50"],
        ["2", "", 'plain text, "x"', "3"],
    ]
    assert translated.decode().startswith('id,name,"the, text",price\r\n1,Tea,"Hot')
    assert translated.endswith(b",3\r\n")


def test_all_columns_are_translated_without_a_choice_but_not_the_header(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.csv", SHOP)
    assert read_texts(path) == ["Tea", 'Hot, "green" tea\r\nfrom Japan', "plain text"]
    assert read_texts(path, header=False)[0:2] == ["id", "name"]


@pytest.mark.parametrize(
    "formula", ["=SUM(A1:A3)", "=A1", "+A1+B2", "-SUM(A1)", "@SUM(A1)", "@A1", '"=CONCATENATE(A1,"" text"")"', "=now"]
)
def test_formulas_stay(tmp_path: Path, formula: str) -> None:
    content = f"a,b\nText,{formula}\n"
    path = make_file(tmp_path, "a.csv", content)
    assert read_texts(path) == ["Text"]
    assert read_texts(make_file(tmp_path, "a.tsv", content.replace(",", "\t", 2))) == ["Text"]


@pytest.mark.parametrize("text", ["- an item", "+ more", "@user name", "-verbose", "@anna", "+1 for it", "-5 degrees"])
def test_texts_after_a_sign_are_no_formulas(tmp_path: Path, text: str) -> None:
    assert read_texts(make_file(tmp_path, "a.csv", f"a,b\n1,{text}\n")) == [text]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    content = f"a{delimiter}b\nOne; two, three{delimiter}4\n".replace(
        "; two, three", " two" if delimiter in ";," else "; two, three"
    )
    path = make_file(tmp_path, "a.csv", "\ufeff" + content)
    assert len(read_texts(path, columns=("a",))) == 1
    assert parse(translate_file(path, lambda _: f"x{delimiter}y", columns=("a",)), delimiter)[1] == [
        f"x{delimiter}y",
        "4",
    ]


def test_tabs_divide_text_that_starts_with_quotation_marks(tmp_path: Path) -> None:
    content = 'id\ttext\n1\t"Hi," he said.\n2\t"Quoted ""cell"""\n3\t"open\n'
    path = make_file(tmp_path, "a.tsv", content)
    assert read_texts(path, columns=("text",)) == ['"Hi," he said.', 'Quoted "cell"', '"open']
    assert translate_file(path) == content.encode()
    changed = translate_file(path, lambda text: text + "\tx", columns=("text",)).decode()
    assert changed == 'id\ttext\n1\t"Hi," he said. x\n2\t"Quoted ""cell""\tx"\n3\t"open x\n'


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (SHOP, ("titel",), r"there is no column 'titel'; its columns are 'id', 'name', 'the, text', 'price'"),
        (SHOP, ("5",), r"there is no column '5'"),
        ('a,b\n1,"open\nand on\n', (), r"line 2: a quotation mark opens a cell that is never closed"),
        ('a,b\n1,"x" y\n', (), r"line 2: there is text after the closing quotation mark"),
        ("a,b\n1,x\x00\n", (), r"line 2: this line has a zero byte"),
        ("", ("a",), r"there is no column 'a'"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, content: str, columns: tuple[str, ...], message: str) -> None:
    path = make_file(tmp_path, "a.csv", content)
    with pytest.raises(FileError, match=message):
        read_texts(path, columns=columns)


def test_a_quotation_mark_that_is_never_closed_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.csv", 'a,b\n1,"open\n' + "some text, more\n" * 200_000)
    with pytest.raises(FileError, match="line 2"):
        read_texts(path)


@pytest.mark.parametrize("content", ["", "\ufeff", "a,b\n", "a\n\n\n", "a,b\n,\n"])
def test_tables_without_text_stay(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.csv", content)
    assert read_texts(path) == []
    assert translate_file(path) == content.encode()


cells = st.text(alphabet=st.sampled_from("ab é,;\"\n\t'😀"), max_size=8)


@given(
    st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_every_table_of_pythons_writer_is_read_and_written(
    tmp_path: Path, rows: list[list[str]], quoting: int, line_end: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=line_end).writerows([["a", "b", "c"], *rows])  # type: ignore[arg-type]
    path = make_file(tmp_path, "a.csv", text.getvalue())
    assert translate_file(path) == path.read_bytes()
    expected = [[cell + '",x' if any(map(str.isalpha, cell)) else cell for cell in row] for row in rows]
    assert parse(translate_file(path, lambda text: text + '",x'))[1:] == expected
