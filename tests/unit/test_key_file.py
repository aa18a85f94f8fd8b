"""Key files: what they hold, how the commands change them, and the one line that a file gets that cannot be used."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from latimer_server.config.key_editing import create_key, revoke_key, rotate_key
from latimer_server.config.key_file import KeyEntry, KeyFileError, digest_secret, read_keys
from latimer_server.core.access import Scope

DIGEST, OTHER = "0" * 64, "1" * 64
ENTRY = KeyEntry(sha256=DIGEST, scopes=frozenset({Scope.TRANSLATE}))
GOOD = f'[keys.shop]\nsha256 = "{DIGEST}"\nscopes = ["translate"]\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def write(path: Path, data: str | bytes) -> None:
    path.write_bytes(data.encode() if isinstance(data, str) else data)


@pytest.mark.parametrize("data", [GOOD, f"\ufeff{GOOD}", GOOD.replace("\n", "\r\n"), f"# Ours.\n\n{GOOD}\n\n"])
def test_a_file_has_named_keys(path: Path, data: str) -> None:
    write(path, data)
    (key,) = read_keys(path)
    assert (key.name, key.entry) == ("shop", ENTRY)


def test_an_empty_file_has_no_keys(path: Path) -> None:
    write(path, "")
    assert read_keys(path) == ()


@pytest.mark.parametrize("written", ["2027-01-01", "2027-01-01T00:00:00", "2027-01-01T01:00:00+01:00"])
def test_dates_are_in_utc(path: Path, written: str) -> None:
    write(path, f"{GOOD}expires = {written}\n")
    assert read_keys(path)[0].entry.expires == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\xff\xfe[\x00", "is not UTF-8 at byte 0"),
        (GOOD.encode() + "# Schl\u00fcssel".encode("latin-1"), "is not UTF-8 at byte"),
        ("[keys.shop\n", "is no TOML file"),
        (GOOD + GOOD, "line 4"),
        (GOOD + GOOD.replace("shop", "SHOP").replace(DIGEST, OTHER), "'shop' and 'SHOP' have the same name"),
        (GOOD + GOOD.replace("shop", "bob"), "'shop' and 'bob' have the same sha256"),
        (
            GOOD + "request_per_minute = 1\n",
            "line 4: keys.shop.request_per_minute: is no known field; did you mean requests_per_minute?",
        ),
        (
            GOOD + "requests_per_minute = 0\n",
            "line 4: keys.shop.requests_per_minute: is 0; must be a whole number from 1 to",
        ),
        (GOOD + "requests_per_minute = 1.5\n", "line 4: keys.shop.requests_per_minute: is 1.5; must be a whole number"),
        (
            GOOD + "requests_per_minute = true\n",
            "line 4: keys.shop.requests_per_minute: is true; must be a whole number",
        ),
        (GOOD + 'concurrent = "many"\n', "line 4: keys.shop.concurrent: is text; must be a whole number from 1 to"),
        (GOOD + 'expires = "soon"\n', "line 4: keys.shop.expires: is text; must be a date such as 2027-06-30"),
        (GOOD + 'expires = "2030-01-01"\n', "line 4: keys.shop.expires: is text; must be a date such as 2027-06-30"),
        (GOOD + "expires = 1893456000\n", "line 4: keys.shop.expires: is 1,893,456,000; must be a date such as"),
        (
            GOOD + "expires = 0001-01-01T00:00:00+01:00\n",
            "line 4: keys.shop.expires: is no date of the years 1 to 9999",
        ),
        (
            GOOD + f"concurrent = 0x{'f' * 5_000}\n",
            "line 4: keys.shop.concurrent: is too large; must be a whole number",
        ),
        (GOOD + f"concurrent = {'9' * 5_000}\n", "is no TOML file: a number has too many digits"),
        (GOOD + f"concurrent = {'[' * 5_000}{']' * 5_000}\n", "is no TOML file: its values are nested too deeply"),
        (GOOD + f"{'x' * 80_000} = 1\n", f"keys.shop.{'x' * 70}...: is no known field"),
        (GOOD + "certificates = [1]\n", "keys.shop.certificates.0: is 1; must be a list of names"),
        (
            GOOD.replace("translate", "translat"),
            "line 3: keys.shop.scopes.0: 'translat' is no scope; the scopes are translate, summarize, admin",
        ),
        (GOOD.replace('"translate"', ""), "line 3: keys.shop.scopes: is a list; must be a list of one or more of"),
        (f'[keys.shop]\nsha256 = "{DIGEST}"\n', "keys.shop.scopes: is missing; must be a list of one or more of"),
        ("keys = 1\n", "line 1: keys: must be a table; write its fields below a line [keys.NAME]"),
        ("[keys]\nshop = 1\n", "line 2: keys.shop: must be a table"),
        ('[keys.shop]\nscopes = ["translate"]\n', "needs sha256, or certificates"),
        (GOOD.replace(DIGEST, "secret"), "line 2: keys.shop.sha256: is text; must be the SHA-256 of the secret"),
        (GOOD + f'previous_sha256 = "{OTHER}"\n', "needs both previous_sha256 and previous_expires"),
        (GOOD.replace("keys.shop", 'keys."a b"'), "a name has 1 to 64 letters"),
        ("[key.shop]\n", "line 1: key: is no known field"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_line(path: Path, data: str | bytes, rule: str) -> None:
    write(path, data)
    with pytest.raises(KeyFileError) as refused:
        read_keys(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert rule in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    assert not re.search("Input should|[Ff]ield required|secret[^;:]*secret|Value error|valid ", message)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"keys\.toml: cannot be read: No such file"):
        read_keys(path)


def test_a_pipe_is_no_key_file(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(KeyFileError, match="is no regular file"):
        read_keys(path)


def test_the_file_holds_the_digest_of_a_new_secret_and_only_its_owner_may_read_it(path: Path) -> None:
    secrets = [create_key(path, name, ENTRY) for name in ("shop", "bob")]
    assert len(set(secrets)) == 2
    assert [key.entry.sha256 for key in read_keys(path)] == [digest_secret(secret).hex() for secret in secrets]
    assert not any(secret in path.read_text() for secret in secrets)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_change_leaves_the_other_lines_and_the_mode_as_they_are(path: Path) -> None:
    before = "# Of the shop.\n"
    after = f'\n# Of Bob.\n[keys.bob] # night shift\nsha256 = "{OTHER}"\nscopes = ["admin"]\n'
    write(path, before + GOOD + after)
    path.chmod(0o640)
    rotate_key(path, "shop", timedelta(hours=1))
    text = path.read_text()
    assert text.startswith(f"{before}[keys.shop]\n")
    assert text.endswith(after)
    revoke_key(path, "bob")
    assert [key.name for key in read_keys(path)] == ["shop"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_rotation_without_overlap_forgets_the_old_secret(path: Path) -> None:
    old = create_key(path, "shop", ENTRY)
    rotate_key(path, "shop", timedelta())
    (key,) = read_keys(path)
    assert key.entry.previous_sha256 is None
    assert key.entry.sha256 != digest_secret(old).hex()


@pytest.mark.parametrize("name", ["", "a b", "a.b", "-a", "x" * 65, "caf\u00e9", "a\n[keys.evil]"])
def test_a_name_that_no_table_could_have_is_refused(path: Path, name: str) -> None:
    with pytest.raises(KeyFileError, match="is no name of a key"):
        create_key(path, name, ENTRY)
    assert not path.exists()


@pytest.mark.parametrize("text", [f'keys.bob = {{sha256 = "{OTHER}", scopes = ["admin"]}}\n', f"{GOOD}broken"])
def test_a_change_that_cannot_be_made_leaves_the_file_as_it_is(path: Path, text: str) -> None:
    write(path, text)
    for change in (partial(create_key, path, "BOB", ENTRY), partial(revoke_key, path, "bob")):
        with pytest.raises(KeyFileError):
            change()
    assert path.read_text() == text


def test_changes_at_the_same_time_all_take_effect(path: Path) -> None:
    names = [f"key-{number}" for number in range(12)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: create_key(path, name, ENTRY), names))
    assert sorted(key.name for key in read_keys(path)) == sorted(names)


def test_a_name_with_control_characters_is_escaped_and_has_the_right_line(path: Path) -> None:
    path.write_text('# a comment with \u2028 inside\n[keys."a\\nb\\u001b[31m"]\nscopes = ["translate"]\n', "utf-8")
    with pytest.raises(KeyFileError) as refused:
        read_keys(path)
    assert str(refused.value).startswith(f"{path}: line 2: keys.a\\nb\\x1b[31m")
    assert str(refused.value).isprintable()
