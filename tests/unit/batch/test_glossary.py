"""Glossaries of people: CSV as programs write it, TBX of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.batch.glossary import Term, read_glossary, read_protected
from latimer.batch.results import BatchError
from latimer.files import FileError

_TBX_2 = """<?xml version="1.0"?><martif type="TBX"><text><body>
<termEntry id="1"><langSet xml:lang="en"><tig><term>gear <hi>box</hi></term></tig></langSet>
<langSet xml:lang="pt-BR"><ntig><termGrp><term>câmbio</term></termGrp></ntig></langSet></termEntry>
<termEntry id="2"><langSet xml:lang="en"><tig><term>only English</term></tig></langSet></termEntry>
</body></text></martif>"""
_TBX_3 = """<tbx xmlns="urn:iso:std:iso:30042:ed-2"><text><body><conceptEntry>
<langSec xml:lang="en"><termSec><term>gear box</term></termSec></langSec>
<langSec xml:lang="pt"><termSec><term>câmbio</term></termSec></langSec></conceptEntry></body></text></tbx>"""


@pytest.mark.parametrize(
    "text",
    [
        "gear box,câmbio\nAcme,Acme,true\n",
        "source,target\ngear box,câmbio\nAcme,Acme,TRUE\n",
        "\ufeffgear box;câmbio;\r\n\r\nAcme;Acme;yes\r\n",
        "gear box\tcâmbio\nAcme\tAcme\t1\n",
        '"gear box","câmbio"\n"Acme","Acme","case_sensitive"\n',
    ],
)
def test_a_line_is_a_term_and_its_translation(tmp_path: Path, text: str) -> None:
    path = tmp_path / "terms.csv"
    path.write_text(text)
    assert read_glossary(path, None, "pt") == [
        Term(source="gear box", target="câmbio"),
        Term(source="Acme", target="Acme", is_case_sensitive=True),
    ]


@pytest.mark.parametrize("text", [_TBX_2, _TBX_3])
def test_entries_of_tbx_that_have_both_languages_are_terms(tmp_path: Path, text: str) -> None:
    path = tmp_path / "terms.tbx"
    path.write_text(text)
    assert read_glossary(path, "en", "pt") == [Term(source="gear box", target="câmbio")]
    with pytest.raises(BatchError, match="--from"):
        read_glossary(path, None, "pt")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "gear box,câmbio\nalone\n", "line 2: has no term and translation; put a comma"),
        ("a.csv", "a,b\n" + "x" * 300 + ",c\n", "line 2: a term has more than 256"),
        ("a.csv", "\n", "has no terms"),
        ("a.csv", "".join(f"a{n},b\n" for n in range(1_001)), "has 1001 terms, and a request at most 1000"),
        ("a.tbx", "<tbx><", "is not valid XML"),
    ],
)
def test_a_bad_glossary_is_an_error_that_names_the_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises((FileError, BatchError), match=message):
        read_glossary(path, "en", "pt")


def test_entities_of_a_tbx_are_not_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = tmp_path / "terms.tbx"
    declared = f'<!DOCTYPE martif [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    path.write_text(declared + _TBX_2.partition("?>")[2].replace("câmbio", "câmbio &x;"))
    assert "secret" not in read_glossary(path, "en", "pt")[0].target


def test_protected_phrases_patterns_and_files_of_them(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text("Acme\n\n/[A-Z]{3}-[0-9]+/\n")
    assert read_protected(["Contoso", "/v[0-9]+/", f"@{path}", "/"]) == (
        ["Contoso", "Acme", "/"],
        ["v[0-9]+", "[A-Z]{3}-[0-9]+"],
    )
