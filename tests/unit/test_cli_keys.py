"""The commands of keys: what they print, and the one line for what they cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from latimer_server.cli.main import app
from latimer_server.config.key_file import digest_secret, read_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments, "--keys", str(path)])


def test_a_new_secret_is_printed_alone_on_a_line_and_only_its_digest_is_kept(path: Path) -> None:
    done = run(
        path, "create", "shop", "--scope", "translate, summarize", "--concurrent", "2", "--expires", "2999-01-01"
    )
    (secret,) = done.stdout.splitlines()
    assert (done.exit_code, done.stderr) == (0, "")
    (key,) = read_keys(path)
    assert key.entry.sha256 == digest_secret(secret).hex()
    assert secret not in path.read_text()
    listed = run(path, "list").stdout
    assert listed == "shop\tsummarize,translate\tconcurrent=2\texpires=2999-01-01T00:00:00Z\n"


def test_a_rotation_prints_the_new_secret_and_a_revoked_key_is_gone(path: Path) -> None:
    first = run(path, "create", "shop", "--scope", "translate").stdout
    second = run(path, "rotate", "shop", "--overlap-hours", "1").stdout
    assert first != second
    assert "previous_secret_until=" in run(path, "list").stdout
    assert run(path, "revoke", "shop").exit_code == 0
    assert run(path, "list").stdout == ""


def test_the_environment_may_name_the_file(path: Path) -> None:
    done = CliRunner().invoke(app, ["keys", "create", "shop", "--scope", "admin"], env={"LATIMER_KEYS": str(path)})
    assert done.exit_code == 0
    assert path.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["create", "shop", "--scope", "translat"], "--scope: 'translat' is no scope; the scopes are translate, "),
        (["create", "shop", "--scope", ","], "--scope: "),
        (["create", "shop", "--scope", "admin", "--requests-per-minute", "0"], "--requests-per-minute: "),
        (["create", "shop", "--scope", "admin", "--characters-per-minute", "-1"], "--characters-per-minute: "),
        (["create", "shop", "--scope", "admin", "--expires", "soon"], "--expires: 'soon' is no date"),
        (["create", "shop", "--scope", "admin", "--expires", "2020-01-01"], "--expires: 2020-01-01 has passed"),
        (["create", "a b", "--scope", "admin"], "'a b' is no name of a key"),
        (["revoke", "shop"], "has no key 'shop'; it has: none"),
        (["rotate", "shop"], "has no key 'shop'; it has: none"),
        (["list"], "keys.toml: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(path: Path, arguments: list[str], complaint: str) -> None:
    done = run(path, *arguments)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
    assert not path.exists()
