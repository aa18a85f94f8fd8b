"""Strings of programs: Qt's .ts, RESX, and Apple's .strings, .stringsdict and .xcstrings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latimer.files import FileError, ReadOptions, Translated
from tests.unit.files.documents import read_texts, read_units, translate_file

PORTUGUESE = ReadOptions(source_language="en", target_language="pt")
POLISH = ReadOptions(source_language="en", target_language="pl")
UNCERTAIN = Translated(text="Novo", flags=("REPETITION",))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def qt(messages: str, language: str = "pt") -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n<TS version="2.1" language="{language}">\n<context>\n'
        f"    <name>Main</name>\n{messages}\n</context>\n</TS>\n"
    )


QT_MESSAGE = "    <message>\n        <source>Don&apos;t</source>\n{}        {}\n    </message>"


def test_unfinished_messages_of_qt_are_translated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", qt(QT_MESSAGE.format("", '<translation type="unfinished"></translation>')))
    [unit] = read_units(path, PORTUGUESE)
    assert (unit.text, unit.context, unit.place) == ("Don't", "Main", "line 7")
    sure = translate_file(path, lambda _: '"a" & b', PORTUGUESE).decode()
    assert sure == qt(QT_MESSAGE.format("", "<translation>&quot;a&quot; &amp; b</translation>"))
    comment = "        <translatorcomment>latimer: REPETITION</translatorcomment>\n"
    uncertain = translate_file(path, lambda _: UNCERTAIN, PORTUGUESE).decode()
    assert uncertain == qt(QT_MESSAGE.format(comment, '<translation type="unfinished">Novo</translation>'))


@pytest.mark.parametrize(
    "translation",
    [
        "<translation>Feito</translation>",
        '<translation type="vanished">x</translation>',
        '<translation type="obsolete"/>',
    ],
)
def test_other_messages_of_qt_stay(tmp_path: Path, translation: str) -> None:
    path = write(tmp_path / "a.ts", qt(QT_MESSAGE.format("", translation)))
    assert read_texts(path, PORTUGUESE) == []
    assert translate_file(path, options=PORTUGUESE) == path.read_bytes()


def test_a_message_of_qt_with_a_control_character_stays(tmp_path: Path) -> None:
    message = '<message>\n<source>Ring <byte value="x7"/>twice</source>\n<translation type="unfinished"/>\n</message>'
    path = write(tmp_path / "a.ts", qt(message))
    assert read_texts(path, PORTUGUESE) == []
    assert translate_file(path, options=PORTUGUESE) == path.read_bytes()


def test_messages_with_forms_get_those_of_the_language_and_stay_unfinished(tmp_path: Path) -> None:
    message = (
        '<message numerus="yes" id="m">\n<source>%n file(s)</source>\n<translation type="unfinished"><numerusform/>'
        "</translation>\n</message>"
    )
    path = write(tmp_path / "a.ts", qt(message, "pl"))
    written = translate_file(path, lambda _: "%n plik", POLISH).decode()
    form = "\n    <numerusform>%n plik</numerusform>"
    assert f'<translation type="unfinished">{form * 3}\n</translation>' in written


def test_a_file_of_qt_in_another_language_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", qt(QT_MESSAGE.format("", "<translation>Fait</translation>"), "fr"))
    with pytest.raises(FileError, match="holds translations into fr, not pt"):
        read_texts(path, PORTUGUESE)


RESX = '<root>\n  <data name="{}" xml:space="preserve">\n    <value>{}</value>{}\n  </data>\n</root>\n'


def test_values_of_resx_without_a_type_are_translated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.resx", RESX.format("Hello", "Hello {0} &amp; all", ""))
    assert [(unit.text, unit.context) for unit in read_units(path)] == [("Hello {0} & all", "Hello")]
    assert translate_file(path) == path.read_bytes()
    comment = "\n    <comment>latimer: REPETITION</comment>"
    assert translate_file(path, lambda _: UNCERTAIN).decode() == RESX.format("Hello", "Novo", comment)
    for name in (">>button.Name", "button.Name", 'a" type="System.Drawing.Size', 'b" mimetype="x'):
        assert read_texts(write(tmp_path / "b.resx", RESX.format(name, "Text", ""))) == []


STRINGS = '/* A "note"; */\n"greeting" = "Hello \\"%@\\"\\nyou";  // end\n\nplain_key = "Bye";\n"none" = "12";\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_entries_of_strings_keep_comments_and_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.strings"
    path.write_bytes(STRINGS.encode(encoding))
    assert [(unit.text, unit.context, unit.place) for unit in read_units(path)] == [
        ('Hello "%@"\nyou', "greeting", "line 2"),
        ("Bye", "plain_key", "line 4"),
    ]
    assert translate_file(path) == path.read_bytes()
    written = translate_file(path, lambda unit: UNCERTAIN if unit.text == "Bye" else 'Olá\t"%@"')
    expected = STRINGS.replace('Hello \\"%@\\"\\nyou', 'Olá\\t\\"%@\\"')
    expected = expected.replace('plain_key = "Bye"', '/* latimer: REPETITION */\nplain_key = "Novo"')
    assert written == expected.encode(encoding)


@pytest.mark.parametrize(
    "text",
    [
        '"a" = "b"',
        '"a" ' + " " * 100_000 + "x",
        "a " + "/* x */ " * 20_000 + "x",
        '\n"a" = "b;\n',
        '\n"a" "b";',
        "\n/* open",
    ],
)
def test_a_broken_entry_is_named_by_its_line(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.strings", f'"x" = "y";\n{text}')
    with pytest.raises(FileError, match=r"line \d: .*no entry"):
        read_texts(path)


def test_forms_of_stringsdict_are_those_of_the_language(tmp_path: Path) -> None:
    text = (
        '<?xml version="1.0"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
        '"http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0"><dict><key>days</key><dict>\n'
        "<key>NSStringLocalizedFormatKey</key><string>%#@d@</string><key>d</key><dict>"
        "<key>NSStringFormatSpecTypeKey</key><string>NSStringPluralRuleType</string>\n"
        "<key>one</key><string>%d day</string>\n<key>other</key>\n<string>%d days</string>\n"
        "</dict></dict></dict></plist>"
    )
    path = write(tmp_path / "a.stringsdict", text)
    assert [(unit.text, unit.context) for unit in read_units(path)] == [
        ("%d day", "days[one]"),
        ("%d days", "days[other]"),
    ]
    assert translate_file(path) == path.read_bytes()
    written = translate_file(path, lambda unit: "%d dni" if unit.text == "%d days" else "%d dzień", POLISH).decode()
    for category in ("few", "many", "other"):
        assert f"<key>{category}</key>\n<string>%d dni</string>" in written


CATALOG = """{
  "sourceLanguage" : "en",
  "strings" : {
    "Done" : {
      "localizations" : {
        "pl" : {
          "stringUnit" : {
            "state" : "translated",
            "value" : "Gotowe"
          }
        }
      }
    },
    "Hello" : {

    },
    "days" : {
      "comment" : "n",
      "localizations" : {
        "en" : {
          "variations" : {
            "plural" : {
              "one" : {
                "stringUnit" : {
                  "state" : "translated",
                  "value" : "%d day"
                }
              },
              "other" : {
                "stringUnit" : {
                  "state" : "translated",
                  "value" : "%d days"
                }
              }
            }
          }
        }
      }
    },
    "kept" : {
      "shouldTranslate" : false
    }
  },
  "version" : "1.0"
}"""


def test_a_string_catalog_gets_a_localization(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xcstrings", CATALOG)
    assert read_texts(path, POLISH) == ["Hello", "%d days", "%d days", "%d day", "%d days"]
    written = translate_file(
        path, lambda unit: UNCERTAIN if unit.text == "Hello" else f"p {unit.text}", POLISH
    ).decode()
    strings = json.loads(written)["strings"]
    assert strings["Hello"]["localizations"]["pl"] == {"stringUnit": {"state": "needs_review", "value": "Novo"}}
    plural = strings["days"]["localizations"]["pl"]["variations"]["plural"]
    assert {name: case["stringUnit"]["value"] for name, case in plural.items()} == {
        "few": "p %d days",
        "many": "p %d days",
        "one": "p %d day",
        "other": "p %d days",
    }
    finished = tmp_path / "b.xcstrings"
    finished.write_text(written)
    assert translate_file(finished, options=POLISH) == finished.read_bytes()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 1: it is no JSON"),
        ("[]", "is no string catalog"),
        ('{"strings": {"a": {"localizations": [1]}}}', "string 1: it has a value where an object should be"),
        ('{"strings": {"a": {"localizations": {"en": 5}}}}', "a value where an object should be"),
    ],
)
def test_a_broken_catalog_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        read_texts(write(tmp_path / "a.xcstrings", text))


@pytest.mark.parametrize("depth", [101, 400, 900, 5_000])
def test_a_string_catalog_that_is_nested_too_deep_is_refused_with_the_bound(tmp_path: Path, depth: int) -> None:
    text = '{"strings": {"a b": {"comment": ' + "[" * depth + "]" * depth + "}}}"
    with pytest.raises(FileError, match="it is nested more than 100 levels deep"):
        read_texts(write(tmp_path / "a.xcstrings", text))
