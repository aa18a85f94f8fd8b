"""Access keys of labels: read, taken out, and put back without a change of words."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files.catalogs.access_keys import read_label
from tests.unit.files.round_trips import make_file, read_texts, translate_file


@pytest.mark.parametrize(
    ("written", "text", "key"),
    [
        ("&Open", "Open", "O"),
        ("E&xit", "Exit", "x"),
        ("Save &as...", "Save as...", "a"),
        ("Exit &without saving", "Exit without saving", "w"),
        ("&Open...\tCtrl+O", "Open...\tCtrl+O", "O"),
        ("&1 most recent", "1 most recent", "1"),
        ("Find/&Replace", "Find/Replace", "R"),
        ("_Open", "Open", "O"),
        ("Te_xt file", "Text file", "x"),
        ("Save _as…", "Save as…", "a"),
        ("打开(&O)...", "打开...", "O"),
    ],
)
def test_a_label_is_read_without_the_sign_of_its_key(written: str, text: str, key: str) -> None:
    label = read_label(written)
    assert (label.text, label.key, label.sign) == (text, key, "_" if "_" in written else "&")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "AT&T",
            "R&D",
            "Q&A",
            "Tom & Jerry",
            "Drag && drop",
            "&amp; more",
            "Caf&eacute;",
            "&copy; 2024",
            "a=1&b=2",
            "https://a.example/?q=1&lang=en",
        ),
        *("_name", "file_name", "Rename file_name", "%(file_name)s is missing", "a __literal sign", "_very_ good"),
        *("snake_case and other_names", "config_file.txt", "{user_name}", "Hello {User_name}", "No sign"),
    ],
)
def test_a_sign_that_is_no_key_stays(text: str) -> None:
    label = read_label(text)
    assert (label.text, label.sign) == (text, "")


def test_a_small_word_has_a_key_in_a_file_with_labels_of_gtk() -> None:
    assert read_label("Save se_lection").sign == ""
    assert read_label("Save se_lection", is_gtk=True).text == "Save selection"


@pytest.mark.parametrize(
    ("written", "translation", "result"),
    [
        ("Save &as...", "Guardar como...", "Gu&ardar como..."),
        ("Save &as...", "Guardar assim...", "Guardar &assim..."),
        ("Exit &without saving", "Sair sem gravar", "&Sair sem gravar"),
        ("Te_xt file", "Ficheiro de texto", "Ficheiro de te_xto"),
        ("&Close %1", "%1: fechar", "%1: fe&char"),
        ("&Print {name}", "{name}", "{name}(&P)"),
        ("&Open...", "打开...", "打开(&O)..."),
        ("&Open...\tCtrl+O", "打开...\tCtrl+O", "打开(&O)...\tCtrl+O"),
        ("&Open", "O&uvrir", "O&uvrir"),
        ("打开(&O)", "Open", "&Open"),
        ("&Open", "Открыть", "&Открыть"),
    ],
)
def test_the_key_stands_on_a_letter_of_the_translation_and_no_word_changes(
    written: str, translation: str, result: str
) -> None:
    assert read_label(written).write(translation) == result


TRANSLATED = {
    "Save as...": "Guardar como...",
    "Exit without saving": "Sair sem gravar",
    "Text file": "Ficheiro de texto",
}
LABELS = ["Save &as...", "Exit &without saving", "Te_xt file"]
RESULTS = ["Gu&ardar como...", "&Sair sem gravar", "Ficheiro de te_xto"]
FILES = {
    "a.po": ("".join(f'msgid "{label}"\nmsgstr ""\n\n' for label in LABELS), 'msgstr "{}"'),
    "a.properties": ("".join(f"k{number}={label}\n" for number, label in enumerate(LABELS)), "={}\n"),
    "a.ts": (
        '<TS language="pt"><context>'
        + "".join(
            f'<message><source>{label.replace("&", "&amp;")}</source><translation type="unfinished"/></message>'
            for label in LABELS
        )
        + "</context></TS>",
        "<translation>{}</translation>",
    ),
    "a.resx": (
        "<root>"
        + "".join(
            f'<data name="k{number}"><value>{label.replace("&", "&amp;")}</value></data>'
            for number, label in enumerate(LABELS)
        )
        + "</root>",
        "<value>{}</value>",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_formats_of_programs_keep_access_keys(tmp_path: Path, name: str) -> None:
    content, form = FILES[name]
    path = make_file(tmp_path, name, content)
    assert read_texts(path, target_language="pt") == list(TRANSLATED)
    written = translate_file(path, TRANSLATED.__getitem__, target_language="pt").decode().replace("&amp;", "&")
    for result in RESULTS:
        assert form.format(result) in written


@pytest.mark.parametrize("name", ["a.properties", "a.resx"])
def test_labels_that_are_not_translated_keep_their_bytes(tmp_path: Path, name: str) -> None:
    content, _ = FILES[name]
    assert translate_file(make_file(tmp_path, name, content), target_language="pt") == content.encode()


def test_a_sign_that_may_be_a_key_and_is_lost_is_marked(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.po", 'msgid "Save se_lection"\nmsgstr ""\n')
    written = translate_file(path, lambda _: "Gravar a seleção", target_language="pt").decode()
    assert "# latimer: PLACEHOLDER_MISMATCH\n#, fuzzy\n" in written
    assert "fuzzy" not in translate_file(path, lambda _: "Gravar se_lection", target_language="pt").decode()
