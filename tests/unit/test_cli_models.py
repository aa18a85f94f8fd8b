"""Tests of the commands `models list`, `fetch` and `verify`."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from latimer_server import __version__
from latimer_server.backends.huggingface.manifest import write_manifest
from latimer_server.backends.protocol import LoadRequest
from latimer_server.cli.main import app
from latimer_server.cli.models import fetch_missing
from latimer_server.core.errors import ModelError
from latimer_server.models.catalog.entry import CatalogEntry, Task
from latimer_server.models.store.store import Store


def run(*arguments: str, store: Path, catalog: Path | None = None) -> Result:
    own = ("--catalog", str(catalog)) if catalog else ()
    return CliRunner().invoke(app, ["models", *arguments, "--store", str(store), *own])


def rows(output: str) -> dict[str, str]:
    return {line.split()[0]: line.rstrip() for line in output.splitlines()[1:]}


def test_a_piped_list_has_one_line_a_model(tmp_path: Path) -> None:
    table = rows(run("list", store=tmp_path).output)
    assert re.fullmatch(
        r"opus-mt-en-de +translation +en -> de +298 MB +CC-BY-4\.0 +not fetched", table["opus-mt-en-de"]
    )
    assert re.search(r" 24 languages -> en +312 MB", table["opus-mt-romance-en"])
    assert re.search(r" 77 languages -> 77 languages +2\.5 GB +CC-BY-NC-4\.0 ", table["nllb-200-distilled-600m"])
    assert re.search(r" summarization +en +1\.2 GB ", table["distilbart-cnn-12-6"])
    assert re.search(r" any +Apache-2\.0 +available$", table["extractive"])
    assert len(table) > 150


def test_a_list_fits_into_a_terminal_of_80_columns() -> None:
    master, slave = pty.openpty()
    command = [str(Path(sys.executable).with_name("latimer-server")), "models", "list", "--store", "/nowhere"]
    with subprocess.Popen(command, stdout=slave, env={**os.environ, "COLUMNS": "80", "TERM": "xterm"}) as process:
        os.close(slave)
        shown = b""
        with suppress(OSError):  # Linux raises EIO when the other end is closed
            while piece := os.read(master, 65_536):
                shown += piece
    os.close(master)
    assert process.returncode == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    # Nearly every model takes one line; only long names are folded.
    assert sum(line.rstrip().endswith(("available", "not fetched")) for line in lines) > 0.85 * len(lines)
    assert all("translation" in line or "summarization" in line for line in lines if line.rstrip().endswith("fetched"))


def test_a_list_can_be_filtered(tmp_path: Path) -> None:
    summarizers = rows(run("list", "--task", "summarization", store=tmp_path).output)
    assert {"extractive", "smollm2-135m-instruct"} <= set(summarizers)
    assert not any("translation" in line for line in summarizers.values())
    brazilian = rows(run("list", "--task", "translation", "--language", "pt-BR", store=tmp_path).output)
    assert {"firefox-en-pt", "firefox-pt-en", "opus-mt-en-romance"} <= set(brazilian)
    assert "opus-mt-en-de" not in brazilian
    assert run("list", "--language", "klingon", store=tmp_path).exit_code == 1
    assert run("list", "--task", "singing", store=tmp_path).exit_code == 2


def test_the_json_list_has_all_fields(tmp_path: Path) -> None:
    models = {model["name"]: model for model in json.loads(run("list", "--json", store=tmp_path).stdout)}
    chosen = models["opus-mt-en-zh"]
    assert chosen["source"] == "hub:Helsinki-NLP/opus-mt-en-zh"
    assert chosen["language_tokens"]["zh-Hant"] == "cmn_Hant"
    assert (chosen["state"], chosen["pickle_only"], chosen["noncommercial"]) == ("not fetched", True, False)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.bin").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    path = tmp_path / "own.toml"
    path.write_text(
        f"[models.mine]\ntask = 'translation'\nfamily = 'f'\nbackend = 'extractive'\nsource = 'dir:{tmp_path}/files'\n"
        f"files.model.path = 'model.bin'\nfiles.model.sha256 = '{digest}'\n"
        "[models.strict]\ntask = 'translation'\nfamily = 'f'\nbackend = 'marian_student'\nsource = 'mozilla:xx-yy'\n"
        "license = 'CC-BY-NC-4.0'\nnoncommercial = true\n"
    )
    return path


def test_models_are_fetched_and_verified_by_name(tmp_path: Path, own: Path) -> None:
    result = run("fetch", "mine", "mine", "extractive", store=tmp_path / "store", catalog=own)
    assert (result.exit_code, result.output) == (0, "mine: already there\nextractive: already there\n")
    assert run("verify", "mine", store=tmp_path, catalog=own).output == "mine: intact\n"
    (tmp_path / "files" / "model.bin").write_bytes(b"WEIGHTS")
    result = run("verify", store=tmp_path, catalog=own)
    assert result.exit_code == 1
    assert "mine: mine/model.bin: has changed" in result.stderr
    assert "extractive: intact" in result.stdout


def test_verify_without_names_includes_missing_folders_of_the_operator(tmp_path: Path, own: Path) -> None:
    shutil.rmtree(tmp_path / "files")
    result = run("verify", store=tmp_path, catalog=own)
    assert result.exit_code == 1
    assert "mine: mine/model.bin: is missing" in result.stderr


def test_conversions_of_a_model_are_verified_too(tmp_path: Path, own: Path) -> None:
    from latimer_server.backends.huggingface.conversion import _fingerprint

    files = tmp_path / "files"
    request = LoadRequest("mine", "b", "translation", files, {"model": files / "model.bin"})
    made = tmp_path / ".made" / "mine" / f"{_fingerprint(request)}-int8"
    made.mkdir(parents=True)
    (made / "model.bin").write_bytes(b"made")
    write_manifest(made)
    assert run("verify", "mine", store=tmp_path, catalog=own).exit_code == 0
    (made / "model.bin").write_bytes(b"mude")
    result = run("verify", "mine", store=tmp_path, catalog=own)
    assert result.exit_code == 1
    assert f"mine: .made/mine/{made.name}/model.bin: has changed since it was made" in result.stderr


def test_a_non_commercial_licence_is_named_and_nothing_is_fetched(tmp_path: Path, own: Path) -> None:
    result = run("fetch", "mine", "strict", store=tmp_path / "store", catalog=own)
    assert result.exit_code == 1
    assert "strict: its licence (CC-BY-NC-4.0)" in result.stderr
    assert "--accept-license" in result.stderr
    assert not (tmp_path / "store").exists()


def test_an_error_in_the_catalogue_is_one_line_that_names_its_line(tmp_path: Path, own: Path) -> None:
    own.write_text(own.read_text() + "licence = 'MIT'\n")
    for command in ("list", "fetch", "verify"):
        result = run(command, store=tmp_path, catalog=own)
        assert result.exit_code == 1
        assert re.fullmatch(
            r"latimer-server: \S+own\.toml, line 15: .*is not a known key \(license\?\)\n", result.stderr
        )


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    for command in ("fetch", "verify"):
        result = run(command, "opus-mt-en-dee", store=tmp_path)
        assert result.exit_code == 1
        assert "'opus-mt-en-dee'; similar names: opus-mt-en-de" in result.stderr


def test_each_model_is_prepared_after_it_was_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = CatalogEntry(name="toy", task=Task.SUMMARIZATION, family="f", backend="b")
    store, prepared = Store(tmp_path), []

    def prepare(entry: CatalogEntry, files: Store) -> bool:
        assert files is store
        prepared.append(entry.name)
        return True

    fetch_missing([entry], store, prepare=prepare)
    assert prepared == ["toy"]
    assert capsys.readouterr().out == "toy: already there, converted\n"


def test_a_model_that_cannot_be_prepared_is_reported_and_the_others_are_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [CatalogEntry(name=name, task=Task.SUMMARIZATION, family="f", backend="b") for name in ("odd", "good")]

    def prepare(entry: CatalogEntry, files: Store) -> bool:
        if entry.name == "odd":
            raise KeyError("</s>")
        return False

    with pytest.raises(ModelError, match=r"odd: fetched, but it cannot be prepared: KeyError: '</s>'"):
        fetch_missing(entries, Store(tmp_path), prepare=prepare)
    assert capsys.readouterr().out == "good: already there\n"


def test_a_server_needs_no_downloader(tmp_path: Path) -> None:
    code = (
        "import sys, latimer_server.rpc.server; print([m for m in ('huggingface_hub', 'httpx2') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_the_version_is_printed(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout.strip()) == (0, __version__)
