"""Plain text: units, wrapped paragraphs, encodings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

WRAPPED = """\
A title

The first paragraph of this text is long enough to be wrapped by an
editor, so its lines end in the middle of sentences and none of them
stands for itself.

  * An item of a list that is also wrapped, with an indentation of its
    second line that differs from that of the first line of the item,
    which is kept.
"""


def test_each_line_is_a_unit_and_blank_lines_stay(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", "One line.\n\n  Two lines.  \r\nThree\rFour")
    assert read_texts(path) == ["One line.", "Two lines.", "Three", "Four"]
    assert translate_file(path, str.upper) == b"ONE LINE.\n\n  TWO LINES.  \r\nTHREE\rFOUR"


def test_places_are_line_numbers(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", "One\n\nTwo\r\n\rThree\n")
    assert [unit.place for unit in read_units(path)] == ["line 1", "line 3", "line 5"]


def test_wrapped_paragraphs_are_translated_whole_and_wrapped_again(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", WRAPPED)
    texts = read_texts(path)
    assert [text.split()[0] for text in texts] == ["A", "The", "*"]
    assert "by an editor, so its lines" in texts[1]
    assert translate_file(path) == WRAPPED.encode()
    longer = translate_file(path, lambda text: text + " And a sentence that makes the paragraph longer by a line.")
    lines = longer.decode().split("\n")
    assert max(map(len, lines)) <= 70
    assert lines[-2].startswith("    ")
    assert " ".join(longer.decode().split()).count("And a sentence that makes the paragraph longer by a line.") == 3


def test_lines_that_are_sentences_or_messages_are_not_joined(tmp_path: Path) -> None:
    sentences = "".join(
        f"This sentence of number {number} stands in a line of its own, as {'x' * (number % 7)}.\n"
        for number in range(60)
    )
    path = make_file(tmp_path, "a.txt", sentences)
    assert len(read_texts(path)) == 60
    messages = make_file(
        tmp_path, "b.txt", "please enter your name and password here\nthe password that you gave is not right\n"
    )
    assert len(read_texts(messages)) == 2


def test_lists_of_checksums_and_chinese_lines_are_not_joined(tmp_path: Path) -> None:
    sums = "".join(f"{number:032x}  usr/share/doc/package/file{number}\n" for number in range(9))
    assert len(read_texts(make_file(tmp_path, "a.txt", sums))) == 9
    chinese = "这是一个没有空格的文本，每一行的长度都差不多，所以看起来像是被折行的段落一样，但是不能合并\n" * 5
    assert len(read_texts(make_file(tmp_path, "b.txt", chinese))) == 5


def test_a_failed_unit_keeps_its_source(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", "One\nTwo\n")
    assert translate_file(path, lambda text: None if text == "One" else "Dois") == b"One\nDois\n"


def test_a_line_break_in_a_translation_moves_no_later_line(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", "One\nTwo\n")
    assert translate_file(path, lambda text: text[0] + "\n" + text[1:]) == b"O ne\nT wo\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_byte_order_marks_decide_and_stay(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("be") else ""
    content = (mark + "Über uns 😀\r\nZwei\n").encode(encoding)
    path = make_file(tmp_path, "a.txt", content)
    assert read_texts(path) == ["Über uns 😀", "Zwei"]
    assert translate_file(path) == content
    assert translate_file(path, lambda text: text + "日") == (mark + "Über uns 😀日\r\nZwei日\n").encode(encoding)


@pytest.mark.parametrize(
    ("text", "encoding", "language"),
    [
        ("Le café est très bon, à côté de la gare.\n", "cp1252", "fr"),
        ("Größe und Straße\n", "latin-1", None),
        ("日本語のテキストです。これは例です。\n", "shift_jis", "ja"),
        ("日本語のテキストです。これは例です。\n", "euc_jp", None),
        ("Привет, как дела? Это пример текста.\n", "cp1251", "ru"),
        ("Привет, как дела? Это пример текста.\n", "koi8-r", "ru"),
        ("Zażółć gęślą jaźń, powiedział.\n", "iso8859-2", "pl"),
        ("这是一个测试文件，用来检查编码。\n", "gb18030", "zh"),
        ("한국어 문장입니다. 이것은 예입니다.\n", "cp949", "ko"),
    ],
)
def test_legacy_encodings_are_found_and_kept(tmp_path: Path, text: str, encoding: str, language: str | None) -> None:
    path = make_file(tmp_path, "a.txt", ("A line of ASCII.\n" + text).encode(encoding))
    assert read_texts(path, source_language=language)[1] == text.strip()
    assert translate_file(path, source_language=language) == path.read_bytes()


def test_utf16_without_a_mark_is_found(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", "Just a text.\nOf two lines.\n".encode("utf-16-le"))
    assert read_texts(path) == ["Just a text.", "Of two lines."]
    assert translate_file(path) == path.read_bytes()


def test_shift_jis_keeps_bytes_that_python_would_write_otherwise(tmp_path: Path) -> None:
    # NEC's and IBM's codes of the same character: cp932 reads both and writes one.
    content = b"\xfa\x54 \x81\xca\nabc\n"
    path = make_file(tmp_path, "a.txt", content)
    assert translate_file(path, encoding="cp932") == content
    assert (
        translate_file(path, lambda text: "x" if text == "abc" else text, encoding="cp932") == b"\xfa\x54 \x81\xca\nx\n"
    )


def test_a_character_that_the_encoding_lacks_is_named_with_a_cure(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.txt", "Été\nZwei\n".encode("cp1252"))
    with pytest.raises(
        FileError, match=r"line 2: .*U\+0416 CYRILLIC CAPITAL LETTER ZHE.*cp1252.*convert the file to UTF-8"
    ):
        translate_file(path, lambda text: text if text == "Été" else "Ж")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"good\nna\xefve\n", {"encoding": "utf-8"}, r"line 2: this line is not utf-8; name the encoding"),
        ("Größe\n".encode() + b"Gr\xf6\xdfe\n", {}, r"line 2: this line is not utf-8"),
        ("Größe è".encode()[:-1], {}, r"not utf-8"),
        (b"One\nTwo\x00\n", {}, r"line 2: this line has a zero byte"),
        (b"One\n", {"encoding": "klingon"}, r"there is no encoding 'klingon'"),
        (b"One\n", {"encoding": "rot13"}, r"there is no encoding 'rot13'"),
        (b"\xef\xbb\xbfOne\n", {"encoding": "cp1252"}, r"its byte order mark says utf-8, not cp1252"),
        (b"\x81\x8d\n", {"encoding": "cp1252"}, r"line 1: this line is not cp1252"),
    ],
)
def test_wrong_encodings_are_refused_with_line_and_cure(
    tmp_path: Path, content: bytes, options: dict[str, str], message: str
) -> None:
    path = make_file(tmp_path, "a.txt", content)
    with pytest.raises(FileError, match=message):
        translate_file(path, encoding=options.get("encoding"))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"  \r\n \n"])
def test_files_without_text_have_no_units_and_stay(tmp_path: Path, content: bytes) -> None:
    path = make_file(tmp_path, "a.txt", content)
    assert read_texts(path) == []
    assert translate_file(path) == content


def test_an_overlong_line_is_refused_after_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.write(b"One\n")
        file.seek(2**31, 1)  # a sparse file: its zeros take no space
        file.write(b"\n")
    with pytest.raises(FileError, match="line 2"):
        read_texts(path)
    long = make_file(tmp_path, "b.txt", b"One\n" + b"x" * 4_000_100)
    with pytest.raises(FileError, match=r"line 2: this line has more than 1,000,000 characters.*divide it"):
        read_texts(long)


def test_a_missing_file_and_a_folder_are_errors_of_the_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(FileError):
            read_texts(path, name="text")


@given(
    st.lists(
        st.sampled_from(["A b.", " ", "\t", "\n", "\r\n", "\r", "über ", "日本 ", "\u2028", "\x0c", "x" * 50 + " "])
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_every_file_comes_out_as_it_was(tmp_path: Path, parts: list[str]) -> None:
    path = make_file(tmp_path, "a.txt", "".join(parts))
    assert translate_file(path) == path.read_bytes()
    assert len(read_texts(path)) == translate_file(path, lambda _: "§").decode().count("§")
