"""Tests of the catalogue of the package, and of an operator's catalogue on top of it."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from latimer_server.core.errors import ModelError, NotServed
from latimer_server.models.catalog.catalog import Task, load_catalog
from latimer_server.models.catalog.source_kinds import source_kind


def test_the_embedded_set_has_digests_and_canaries() -> None:
    catalog = load_catalog()
    assert catalog.embedded == ("extractive", "firefox-en-pt", "firefox-pt-en", "smollm2-135m-instruct")
    assert catalog.preloaded == ("extractive", "firefox-en-pt", "firefox-pt-en")
    for name in catalog.embedded:
        assert all(file.sha256 for file in catalog.get(name).files.values())


def test_every_model_has_a_licence_an_attribution_and_a_canary_and_most_a_size() -> None:
    entries = load_catalog().entries
    assert sum(source_kind(entry.source) == "hub" for entry in entries) >= 60
    assert sum(source_kind(entry.source) == "mozilla" for entry in entries) >= 60
    for entry in entries:
        assert entry.license, entry.name
        assert entry.attribution, entry.name
        assert entry.canary, entry.name
        assert entry.size_mb or not entry.source, entry.name


@pytest.mark.parametrize(
    ("line", "canary"),
    [("", "Das Wetter ist heute sehr schön."), ("canary = ''", ""), ("canary = 'Ein Satz.'", "Ein Satz.")],
)
def test_a_model_of_an_operator_has_the_default_canary_unless_its_table_names_one(
    tmp_path: Path, line: str, canary: str
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        "[models.own]\ntask = 'translation'\nfamily = 'f'\nbackend = 'auto'\nsource = 'dir:/models/own'\n"
        f"source_languages = ['de']\ntarget_languages = ['en']\n{line}\n"
    )
    assert load_catalog(own).get("own").canary == canary


def test_a_canary_is_never_translated_into_its_own_language() -> None:
    for entry in load_catalog().entries:
        if entry.task is Task.TRANSLATION:
            assert entry.source_languages[0] != entry.target_languages[0], entry.name


def test_multilingual_models_list_the_tokens_of_their_languages() -> None:
    for entry in load_catalog().entries:
        known = set(entry.source_languages) | set(entry.target_languages)
        assert set(entry.language_tokens) <= known, entry.name
        if source_kind(entry.source) == "hub" and len(entry.target_languages) > 1:
            assert entry.language_tokens, entry.name


def test_no_entry_allows_a_pickle_and_entries_with_only_pickles_say_so() -> None:
    entries = load_catalog().entries
    assert not any(entry.allow_pickle for entry in entries)
    assert load_catalog().get("opus-mt-en-de").pickle_only


def test_only_students_of_mozilla_have_guided_alignment(tmp_path: Path) -> None:
    for entry in load_catalog().entries:
        assert entry.guided_alignment == (entry.family == "marian-student"), entry.name
    own = tmp_path / "own.toml"
    keys = "task = 'translation'\nfamily = 'f'\nbackend = 'marian_student'\nsource_languages = ['de']\n"
    own.write_text(
        f"[models.a]\n{keys}source = 'mozilla:de-en'\n[models.b]\n{keys}source = 'mozilla:de-en'\n"
        f"guided_alignment = false\n[models.c]\n{keys}source = 'dir:/c'\n[models.firefox-de-en]\nsource = 'dir:/d'\n"
    )
    catalog = load_catalog(own)
    guided = {name: catalog.get(name).guided_alignment for name in ("a", "b", "c", "firefox-de-en")}
    # A student of Firefox in an operator's folder is still a student of Mozilla.
    assert guided == {"a": True, "b": False, "c": False, "firefox-de-en": True}


def test_only_students_have_a_shortlist_unless_the_operator_wants_the_whole_vocabulary(tmp_path: Path) -> None:
    entries = load_catalog().entries
    assert {entry.backend for entry in entries if entry.has_shortlist} == {"marian_student"}
    assert load_catalog().get("firefox-en-pt").has_shortlist
    file = tmp_path / "models.toml"
    file.write_text("[models.firefox-en-pt]\nvocabulary = 'full'\n", "utf-8")
    assert not load_catalog(file).get("firefox-en-pt").has_shortlist


def test_non_commercial_licences_are_marked() -> None:
    marked = {entry.name for entry in load_catalog().entries if entry.noncommercial}
    assert marked == {entry.name for entry in load_catalog().entries if "-NC" in entry.license}
    assert "nllb-200-distilled-600m" in marked


def test_an_operators_catalogue_adds_and_overrides_entries(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        """
        [models.mine]
        task = "translation"
        family = "marian-student"
        backend = "marian_student"
        source_languages = ["DE"]
        target_languages = ["en"]
        source = "dir:/models/mine"
        files.model.path = "model.bin"

        [models.extractive]
        task = "summarization"
        family = "extractive"
        backend = "extractive"
        license = "MIT"
        """
    )
    catalog = load_catalog(own)
    assert catalog.get("mine").source_languages == ("de",)
    assert catalog.get("extractive").license == "MIT"
    assert catalog.get("firefox-en-pt")


BEGIN = "[models.a]\ntask='translation'\nfamily='f'\nbackend='auto'\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[models.a]\ntask = ?", "line 2"),
        ("\n\nmodel.a.task = 3", "line 3: only tables .*, not model"),
        ("[models.a]\ntask = 'singing'\nfamily='f'\nbackend='auto'", "line 2: models.a.task: "),
        (
            BEGIN + "licence='MIT'",
            r"line 5: models.a.licence: is not a known key \(license\?\)",
        ),
        ("[models.'A b']\ntask = 'translation'\nfamily='f'\nbackend='auto'", "name"),
        (BEGIN + "source_languages=['english']", "line 5: .*BCP-47"),
        (
            BEGIN + "source='ftp:x'",
            "line 5: .*hub:, mozilla:, wheel:, dir:",
        ),
        (
            "[models.a]\ntask='translation'\nfamily='f'\nbackend='onnx'",
            "line 4: models.a.backend: must be one of auto, ctranslate2, ",
        ),
        (BEGIN + "source='hub:x'", "line 5: .*hub:owner/name"),
        (BEGIN + "source='hub:a/b@'", "line 5: .*@revision"),
        (BEGIN + "source='mozilla:de'", "line 5: .*mozilla:de-en"),
        (BEGIN + "source='wheel:x'", "line 5: .*==version"),
        (BEGIN + "source='wheel:x==1'", "line 1: .*wheel_tag"),
        (
            "[models.a]\nfamily='f'\nbackend='auto'",
            "line 1: models.a.task: is missing; must be one of translation, summarization",
        ),
        ("[models.b]\n\n[models.a]\ntask='x'\nfamily='f'\nbackend='auto'", "line 1: models.b.task"),
        (
            "[defaults]\ntask='translation'\nfamly='f'\n[models.a]\nbackend='auto'",
            r"line 3: .*is not a known key \(family\?\)",
        ),
        (BEGIN + "files.m.path='../../etc/passwd'", "relative path"),
        (
            BEGIN + "files.m.path='x/f'\nfiles.n.path='y/f'",
            "same name",
        ),
        (BEGIN + "vocabulary='full'", "vocabulary: only models of backend marian_student have a shortlist"),
        ("[model.a]\n", "model"),
        ("models = 3", "models"),
        ("[models]\na = 3", "models.a"),
    ],
)
def test_an_error_in_a_catalogue_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(ModelError, match=complaint) as raised:
        load_catalog(own)
    assert "own.toml" in str(raised.value)


def test_the_error_for_an_unknown_name_suggests_similar_names() -> None:
    with pytest.raises(NotServed, match=r"'firefox-en-po'; similar names: .*firefox-en-pt.*; ListModels lists all \d+"):
        load_catalog().get("firefox-en-po")
    with pytest.raises(NotServed, match="there is no model 'xxx"):
        load_catalog().get("x" * 100_000)


def test_a_key_of_the_operator_overrides_only_that_key(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[models.opus-mt-en-de]\nallow_pickle = true\n")
    ours, theirs = load_catalog().get("opus-mt-en-de"), load_catalog(own).get("opus-mt-en-de")
    assert theirs == ours.model_copy(update={"allow_pickle": True})


def test_a_new_source_drops_the_keys_that_describe_the_old_one(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[models.firefox-en-pt]\nsource = 'dir:/my/en-pt'\nfiles.model.path = 'model.bin'\n")
    entry = load_catalog(own).get("firefox-en-pt")
    assert set(entry.files) == {"model"}
    assert not entry.wheel_tag
    assert not entry.revision
    assert entry.license == "MPL-2.0"


def test_an_error_in_an_overridden_entry_names_the_operators_line(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("# mine\n[models.opus-mt-en-de]\n\nallow_pickel = true\n")
    with pytest.raises(ModelError, match=r"own\.toml, line 4: .*is not a known key \(allow_pickle\?\)"):
        load_catalog(own)


def test_defaults_apply_to_every_model_of_their_file(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        "[defaults]\ntask = 'translation'\nfamily = 'marian'\nbackend = 'auto'\nlicense = 'MIT'\n"
        "[models.a]\nsource = 'dir:/a'\n[models.b]\nsource = 'dir:/b'\nlicense = 'GPL-3.0'\n"
    )
    catalog = load_catalog(own)
    assert (catalog.get("a").license, catalog.get("b").license) == ("MIT", "GPL-3.0")
    assert not catalog.get("a").canary  # the package's canaries belong to its own entries


def test_a_catalogue_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    for name, complaint in (("none.toml", "No such file"), ("own.toml", "is no UTF-8 text"), ("", "Is a directory")):
        with pytest.raises(ModelError, match=f"{name}: .*{complaint}"):
            load_catalog(tmp_path / name)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [("[" * 5_000 + "]" * 5_000, "its values are nested too deeply"), ("9" * 5_000, "a number has too many digits")],
    ids=["nested", "long"],
)
def test_values_that_no_reader_takes_are_refused_in_one_line(tmp_path: Path, value: str, complaint: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f"[defaults]\ncanary = {value}\n")
    with pytest.raises(ModelError, match=f"^{own}: {complaint}$"):
        load_catalog(own)


@pytest.mark.parametrize("page", ["docs/models.md"])
def test_the_examples_in_the_documentation_are_valid_catalogues(tmp_path: Path, page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text("utf-8")
    examples = [dedent(example) for example in re.findall(r"^ *```toml\n(.*?)```", text, re.DOTALL | re.MULTILINE)]
    assert examples
    for example in examples:
        own = tmp_path / "own.toml"
        own.write_text(example.replace('"..."', f'"{"0" * 64}"'))
        assert load_catalog(own).get("firefox-de-en")
