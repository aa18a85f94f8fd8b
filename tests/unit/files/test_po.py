"""PO and POT: units, plurals, headers, marks, and bytes that stay."""

from __future__ import annotations

import gettext
from pathlib import Path

import polib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from latimer.files.plural_forms import find_forms, parse_forms
from latimer.files.plural_table import PLURAL_FORMS
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

TEMPLATE = r"""# A title.
# FIRST AUTHOR <EMAIL@ADDRESS>, YEAR.
#
#, fuzzy
msgid ""
msgstr ""
"Project-Id-Version: menu 1.0\n"
"Language: \n"
"Content-Type: text/plain; charset=CHARSET\n"
"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\n"

#. The name of the menu
#: menu.c:12
msgctxt "noun"
msgid "Order"
msgstr ""

#: menu.c:15
#, c-format
msgid "%s has \"one\" dish.\n"
msgstr ""

#, python-brace-format, no-wrap
msgid ""
"The dishes of {day} are served from noon to three o'clock, and later for "
"guests of the house.\n"
"\n"
"Enjoy!"
msgstr ""

#, c-format
msgid "%d dish"
msgid_plural "%d dishes"
msgstr[0] ""
msgstr[1] ""
"""
HEADER = 'msgid ""\nmsgstr ""\n"Language: pt\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
FINISHED = (
    HEADER
    + r"""
msgid "Done"
msgstr "Feito"

# a comment

#| msgid "Old"
#, fuzzy
msgid "Doubtful"
msgstr "Duvidoso"

#, fuzzy
msgid "Doubtful and empty"
msgstr ""

#~ msgid "Obsolete"
#~ msgstr ""
"""
)


def test_units_are_messages_without_a_translation(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "menu.pot", TEMPLATE), target_language="pl")
    assert [unit.text for unit in units] == [
        "Order",
        '%s has "one" dish.\n',
        "The dishes of {day} are served from noon to three o'clock, and later for guests of the house.\n\nEnjoy!",
        "%d dish",
        "%d dishes",
    ]
    assert [unit.context for unit in units] == ["noun", "", "", "", ""]
    assert [unit.syntaxes for unit in units] == [(), ("printf",), ("icu",), ("printf",), ("printf",)]
    assert [unit.place for unit in units[:2]] == ["line 15", "line 20"]


def test_finished_fuzzy_and_obsolete_entries_stay(tmp_path: Path) -> None:
    path = make_file(tmp_path, "pt.po", FINISHED)
    assert read_texts(path, target_language="pt") == []
    assert translate_file(path, target_language="pt") == FINISHED.encode()


def test_the_credits_of_translators_stay(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.po", HEADER + '\nmsgid "translator-credits"\nmsgstr ""\n\nmsgid "Open"\nmsgstr ""\n')
    assert read_texts(path, target_language="pt") == ["Open"]


def test_only_msgstr_and_the_empty_header_fields_change(tmp_path: Path) -> None:
    translated = translate_file(make_file(tmp_path, "menu.pot", TEMPLATE), target_language="de-AT").decode()
    before, after = TEMPLATE.splitlines(), translated.splitlines()
    gone = [line for line in before if line not in after]
    assert gone == [
        r'"Language: \n"',
        r'"Content-Type: text/plain; charset=CHARSET\n"',
        r'"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\n"',
        'msgstr[0] ""',
        'msgstr[1] ""',
    ]
    assert r'"Plural-Forms: nplurals=2; plural=(n != 1);\n"' in after
    assert r'"Language: de_AT\n"' in after
    for entry in polib.pofile(translated):
        assert entry.msgstr == entry.msgid or entry.msgid_plural


def test_translations_follow_the_layout_of_their_msgid(tmp_path: Path) -> None:
    def translate(text: str) -> str:
        return text.strip("\n").replace('"', "“").replace("dish", 'dish\t"\\') + " and more words to wrap at the end"

    translated = translate_file(make_file(tmp_path, "menu.pot", TEMPLATE), translate, target_language="de").decode()
    entries = list(polib.pofile(translated))
    assert entries[1].msgstr == '%s has “one“ dish\t"\\. and more words to wrap at the end\n'
    assert entries[2].msgstr == translate(entries[2].msgid)
    assert max(map(len, translated.splitlines())) < 100
    assert 'msgstr "%s has “one“ dish\\t\\"\\\\. and' in translated


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("ja", ["%d dishes"]),
        ("de", ["%d dish", "%d dishes"]),
        ("pl", ["%d dish", "%d dishes", "%d dishes"]),
        ("ar", ["%d dishes", "%d dish", *["%d dishes"] * 4]),
    ],
)
def test_plurals_have_the_forms_of_the_target(tmp_path: Path, language: str, forms: list[str]) -> None:
    translated = translate_file(make_file(tmp_path, "menu.pot", TEMPLATE), target_language=language).decode()
    catalog = polib.pofile(translated)
    assert list(catalog[-1].msgstr_plural.values()) == forms
    assert catalog.metadata["Plural-Forms"].startswith(f"nplurals={len(forms)};")


def test_forms_that_the_source_does_not_tell_apart_are_uncertain(tmp_path: Path) -> None:
    path = make_file(tmp_path, "menu.pot", TEMPLATE)
    assert "latimer: PLURAL_FORMS" in translate_file(path, target_language="pl").decode()
    assert "PLURAL_FORMS" not in translate_file(path, target_language="es").decode()


def test_the_header_of_the_file_decides_on_plurals(tmp_path: Path) -> None:
    forms = "Plural-Forms: nplurals=3; plural=n==1 ? 0 : n==2 ? 1 : 2;"
    path = make_file(tmp_path, "a.pot", TEMPLATE.replace("Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;", forms))
    translated = translate_file(path, target_language="de").decode()
    assert forms in translated
    assert 'msgstr[2] "%d dishes"' in translated


def test_the_language_and_forms_of_an_untranslated_catalog_become_those_of_the_target(tmp_path: Path) -> None:
    header = TEMPLATE.replace("Language: ", "Language: en").replace(
        "Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;", "Plural-Forms: nplurals=2; plural=(n != 1);"
    )
    translated = translate_file(make_file(tmp_path, "en.po", header), target_language="pl").decode()
    assert r'"Language: pl\n"' in translated
    assert r'"Plural-Forms: nplurals=3; plural=' in translated
    assert "msgstr[2]" in translated


def test_a_header_without_plural_forms_gets_them(tmp_path: Path) -> None:
    content = HEADER + '\nmsgid "a"\nmsgid_plural "b"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    translated = translate_file(make_file(tmp_path, "a.po", content), target_language="de").decode()
    assert r'charset=UTF-8\n"' + "\n" + r'"Plural-Forms: nplurals=2; plural=(n != 1);\n"' + "\n\nmsgid" in translated


def test_uncertain_units_are_fuzzy_with_the_name_of_the_flag(tmp_path: Path) -> None:
    path = make_file(tmp_path, "menu.pot", TEMPLATE)
    translated = translate_file(path, flags=("LENGTH_RATIO", "NUMBER_MISMATCH"), target_language="de").decode()
    for entry in polib.pofile(translated):
        assert entry.fuzzy
        assert "latimer: LENGTH_RATIO, NUMBER_MISMATCH" in entry.tcomment
    assert '#, fuzzy, c-format\nmsgid "%s' in translated
    assert (
        "# latimer: LENGTH_RATIO, NUMBER_MISMATCH\n#. The name of the menu\n#: menu.c:12\n#, fuzzy\nmsgctxt"
        in translated
    )


def test_a_comment_before_a_blank_line_stays_where_it_is(tmp_path: Path) -> None:
    content = HEADER + '\n# about the file\n\nmsgid "a"\nmsgstr ""\n'
    translated = translate_file(make_file(tmp_path, "a.po", content), flags=("LENGTH_RATIO",)).decode()
    assert translated.endswith('# about the file\n\n# latimer: LENGTH_RATIO\n#, fuzzy\nmsgid "a"\nmsgstr "a"\n')


def test_a_failed_entry_stays_empty(tmp_path: Path) -> None:
    path = make_file(tmp_path, "menu.pot", TEMPLATE)
    translated = translate_file(path, lambda text: None if "dish" in text else text, target_language="de").decode()
    assert 'msgstr[0] ""\nmsgstr[1] ""\n' in translated
    assert 'msgstr "Order"' in translated


def test_a_half_filled_plural_keeps_its_half(tmp_path: Path) -> None:
    content = HEADER + '\nmsgid "a"\nmsgid_plural "b"\nmsgstr[0] "um"\nmsgstr[1] ""\n'
    translated = translate_file(make_file(tmp_path, "a.po", content), target_language="pt").decode()
    assert 'msgstr[0] "um"\nmsgstr[1] "b"\n' in translated


def test_line_ends_byte_order_mark_and_legacy_encodings_stay(tmp_path: Path) -> None:
    content = (TEMPLATE.replace("CHARSET", "ISO-8859-1") + '\nmsgid "é"\nmsgstr ""\n').replace("\n", "\r\n")
    path = make_file(tmp_path, "a.po", content.encode("latin-1"))
    translated = translate_file(path, lambda text: text + "ü", flags=("LENGTH_RATIO",), target_language="de")
    assert b"\n" not in translated.replace(b"\r\n", b"")
    assert b'msgstr "\xe9\xfc"' in translated
    with pytest.raises(
        FileError, match=r"U\+0142 LATIN SMALL LETTER L WITH STROKE, which the file's encoding iso8859-1"
    ):
        translate_file(path, lambda _: "ł", target_language="pl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('msgid "a"\nmsgstr "b\n', "line 2: a string is not closed"),
        ('msgid "a"\nmsgstr "b"c"\n', "line 2: a string is not closed"),
        ('msgid "a"\nmessage "b"\n', "line 2: this is no line of a PO file"),
        ('msgid "a"\n\nmsgid "b"\nmsgstr ""\n', "line 3: msgid is not expected here"),
        ('msgid "a"\nmsgstr[0] ""\n', r"line 2: msgstr\[0\] is not expected here"),
        ('"a"\n', "line 1: a string stands without msgid"),
        ('msgid "a"\n', "line 2: the entry before has no msgstr"),
        ('msgid "a"\nmsgid_plural "b"\nmsgstr[0] ""\nmsgstr[0] ""\n', "line 4: msgstr comes twice"),
        ("Just a text.\n", "line 1: this is no line of a PO file"),
        (
            FINISHED.replace("Language: pt", "Language: de"),
            "this file has translations into de, not into en; translate its",
        ),
        (HEADER.replace("UTF-8", "klingon"), "there is no encoding 'klingon'"),
    ],
)
def test_what_is_no_po_file_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_texts(make_file(tmp_path, "a.po", content))


def test_a_syntax_error_far_down_names_its_line(tmp_path: Path) -> None:
    content = "".join(f'msgid "{number}"\nmsgstr ""\n\n' for number in range(270)) + '\nmsgid "open\nmsgstr ""\n'
    with pytest.raises(FileError, match=r"a\.po, line 812: a string is not closed"):
        read_texts(make_file(tmp_path, "a.po", content))


@pytest.mark.parametrize("content", ["", "\ufeff", "# only a comment\n", "\n\n"])
def test_files_without_messages_stay(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.po", content)
    assert read_texts(path) == []
    assert translate_file(path) == content.encode()


def test_unknown_plural_forms_are_refused_only_where_they_are_needed(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.pot", TEMPLATE)
    with pytest.raises(FileError, match=r"line 33: the plural forms of tlh are not known; write them into the header"):
        read_texts(path, target_language="tlh")


@pytest.mark.parametrize("language", sorted(PLURAL_FORMS))
def test_every_form_of_the_table_is_reached_and_none_beyond(language: str) -> None:
    count, expression = PLURAL_FORMS[language]
    plural = gettext.c2py(expression)
    forms = {plural(number) for number in [*range(200), 10**6, 2 * 10**6]}
    assert forms == set(range(count))


def test_forms_are_found_by_the_nearest_language() -> None:
    assert find_forms("pt-PT") != find_forms("pt-BR")
    assert find_forms("pt-BR") == find_forms("pt")
    assert find_forms("zh-Hant-TW") == find_forms("zh")
    assert find_forms("tlh") is None


@pytest.mark.parametrize(
    "header",
    ["nplurals=INTEGER; plural=EXPRESSION;", "nplurals=2; plural=n>5?3:0;", "nplurals=2; plural=os.system;", ""],
)
def test_headers_without_valid_forms_are_templates(header: str) -> None:
    assert parse_forms(header) is None


texts = st.text(alphabet=st.sampled_from('ab é"\\\n\t%{}日\u2028'), min_size=1, max_size=20)


@given(
    st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=5, unique_by=lambda pair: pair[0]),
    st.integers(20, 90),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_what_polib_writes_is_read_translated_and_read_again(
    tmp_path: Path, messages: list[tuple[str, bool]], width: int
) -> None:
    catalog = polib.POFile(wrapwidth=width)
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    for text, finished in messages:
        catalog.append(polib.POEntry(msgid=text.replace("\u2028", "x"), msgstr="done" if finished else ""))
    path = make_file(tmp_path, "a.po", str(catalog))
    expected = [entry.msgid for entry in catalog if not entry.msgstr]
    assert read_texts(path) == expected
    assert translate_file(path, lambda _: None) == path.read_bytes()
    again = polib.pofile(translate_file(path).decode())
    assert [entry.msgstr for entry in again] == [entry.msgstr or entry.msgid for entry in catalog]
