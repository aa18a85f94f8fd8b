"""The commands `models fetch`, `list` and `verify` with a registry on the loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from latimer_server.cli.main import app
from tests.loopback import LoopbackRegistry


def run(*arguments: str, store: Path) -> Result:
    return CliRunner().invoke(app, ["models", *arguments, "--store", str(store)])


def lose_the_weights(folder: Path) -> str:
    (folder / "model.deen.intgemm.alphas.bin").unlink()
    return "model.deen.intgemm.alphas.bin: is missing"


def break_the_record(folder: Path) -> str:
    (folder / "latimer.json").write_text("{")
    return "latimer.json: is malformed"


def name_another_source(folder: Path) -> str:
    record = folder / "latimer.json"
    record.write_text(record.read_text().replace("mozilla:de-en", "mozilla:de-fr"))
    return "the store has mozilla:de-fr, the catalogue says mozilla:de-en"


def lose_the_record(folder: Path) -> str:
    (folder / "latimer.json").unlink()
    return "latimer.json: is missing"


@pytest.mark.parametrize("harm", [lose_the_weights, break_the_record, name_another_source, lose_the_record])
def test_verify_without_names_takes_what_is_broken_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], str]
) -> None:
    registry = LoopbackRegistry()
    registry.add("de-en", "run_A", {"model": b"m", "lexicalShortlist": b"l", "vocab": b"v"})
    monkeypatch.setenv("LATIMER_MOZILLA_REGISTRY", registry.registry_url)
    with registry.running():
        run("fetch", "firefox-de-en", store=tmp_path)
    assert run("verify", store=tmp_path).exit_code == 0
    problem = harm(tmp_path / "firefox-de-en")
    result = run("verify", store=tmp_path)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert "extractive: intact" in result.stdout


def test_the_registry_is_a_setting_and_the_recorded_revision_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = LoopbackRegistry()
    registry.add("de-en", "run_A", {"model": b"m", "lexicalShortlist": b"l", "vocab": b"v"})
    monkeypatch.setenv("LATIMER_MOZILLA_REGISTRY", registry.registry_url)
    with registry.running():
        assert run("fetch", "firefox-de-en", store=tmp_path).output == "firefox-de-en: fetched\n"
    assert run("fetch", "firefox-de-en", store=tmp_path).output == "firefox-de-en: already there\n"
    models = {model["name"]: model for model in json.loads(run("list", "--json", store=tmp_path).stdout)}
    assert (models["firefox-de-en"]["revision"], models["firefox-de-en"]["state"]) == ("tiny run_A", "available")
