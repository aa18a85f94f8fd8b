"""Changes key files: creates, revokes and rotates keys.

A change edits the lines of one key and leaves all others, with their comments, as they are. It holds a lock on the file
and replaces the file in one step, so that a server never reads half of it.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from latimer_server.config.key_file import (
    NAME_PATTERN,
    KeyEntry,
    KeyFileError,
    NamedKey,
    digest_secret,
    parse_keys,
    read_text,
)

_SECRET_PREFIX = "latimer_"  # noqa: S105 (secret scanners search for it)
_SECRET_BYTES = 32
_LOCK_SECONDS = 10.0
_OWNER_ONLY = 0o600
_COMMENT = "# Keys of a Latimer server. `latimer-server keys` changes this file; it holds digests, not secrets.\n"


def create_key(path: Path, name: str, entry: KeyEntry) -> str:
    """Adds a key to the file, which is made if it does not exist, and returns the new secret.

    `entry.sha256` is replaced by the digest of the secret. Raises `KeyFileError`.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise KeyFileError(f"{name[:80]!r} is no name of a key: a name has 1 to 64 letters, digits, `-` and `_`")
    secret = _make_secret()
    with _changing(path) as file:
        if name.casefold() in {key.name.casefold() for key in file.keys}:
            raise KeyFileError(f"{path}: has a key {name!r} already; revoke or rotate it, or choose another name")
        added = entry.model_copy(update={"sha256": digest_secret(secret).hex()})
        gap = "\n" if file.text and not file.text.endswith("\n") else ""
        file.text = f"{file.text or _COMMENT}{gap}\n[keys.{name}]\n{_format(added)}"
        file.keys = (*file.keys, NamedKey(name, added))
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Removes a key from the file. Raises `KeyFileError` if the file has none of this name."""
    with _changing(path) as file:
        start, end = file.find_lines(name)
        lines = file.text.splitlines(keepends=True)
        file.text = "".join(lines[:start] + lines[end:])
        file.keys = tuple(key for key in file.keys if key.name != name)


def rotate_key(path: Path, name: str, overlap: timedelta) -> str:
    """Gives a key a new secret and returns it. The old one is accepted for `overlap` more. Raises `KeyFileError`."""
    secret = _make_secret()
    with _changing(path) as file:
        start, end = file.find_lines(name)
        old = next(key.entry for key in file.keys if key.name == name)
        is_kept = overlap > timedelta() and old.sha256 is not None
        changed = old.model_copy(
            update={
                "sha256": digest_secret(secret).hex(),
                "previous_sha256": old.sha256 if is_kept else None,
                "previous_expires": (datetime.now(UTC) + overlap).replace(microsecond=0) if is_kept else None,
            }
        )
        lines = file.text.splitlines(keepends=True)
        # Comments and blank lines behind the last field belong to the next key.
        last = max(
            (at for at in range(start + 1, end) if lines[at].strip() and not lines[at].lstrip().startswith("#")),
            default=start,
        )
        header = lines[start] if lines[start].endswith("\n") else f"{lines[start]}\n"
        file.text = "".join([*lines[:start], header, _format(changed), *lines[last + 1 :]])
        file.keys = tuple(NamedKey(name, changed) if key.name == name else key for key in file.keys)
    return secret


class _EditedFile:
    """The text of a key file, and the keys that it must hold after the change."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.keys: Sequence[NamedKey] = parse_keys(path, text)

    def find_lines(self, name: str) -> tuple[int, int]:
        """Returns the range of the lines of a key: its header and all lines up to the next header."""
        if name not in {key.name for key in self.keys}:
            known = ", ".join(key.name for key in self.keys) or "none"
            raise KeyFileError(f"{self.path}: has no key {name!r}; it has: {known}")
        lines = self.text.splitlines()
        header = re.compile(rf"\s*\[\s*keys\s*\.\s*[\"']?{re.escape(name)}[\"']?\s*\]\s*(#.*)?")
        starts = [at for at, line in enumerate(lines) if header.fullmatch(line)]
        if len(starts) != 1:
            raise KeyFileError(f"{self.path}: has no line `[keys.{name}]`; change this key by hand")
        later = (at for at in range(starts[0] + 1, len(lines)) if lines[at].lstrip().startswith("["))
        return starts[0], next(later, len(lines))


@contextmanager
def _changing(path: Path) -> Iterator[_EditedFile]:
    """Yields the file to change, and writes it if its text then holds exactly the keys that it must."""
    path = path.resolve()
    try:
        with FileLock(f"{path}.lock", timeout=_LOCK_SECONDS, mode=_OWNER_ONLY):
            file = _EditedFile(path, read_text(path) if path.exists() else "")
            yield file
            if parse_keys(path, file.text) != tuple(file.keys):
                raise KeyFileError(f"{path}: is written in a way that this command cannot change; change it by hand")
            _replace(path, file.text)
    except Timeout:
        raise KeyFileError(f"{path}: is being changed by another program; try again") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    """Replaces the file in one step. A new file has mode 0600; an old one keeps its mode and owner, since the server
    may run as another user."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_OWNER_ONLY)
        if path.exists():
            old = path.stat()
            with suppress(PermissionError):
                os.chown(temporary, old.st_uid, old.st_gid)
            temporary.chmod(old.st_mode & 0o777)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _make_secret() -> str:
    return _SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def _format(entry: KeyEntry) -> str:
    """Returns the fields of a key as lines of TOML."""
    lines = []
    for name in KeyEntry.model_fields:
        value = getattr(entry, name)
        if isinstance(value, datetime):
            lines.append(f"{name} = {value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n")
        elif isinstance(value, str):
            lines.append(f"{name} = {_quote(value)}\n")
        elif isinstance(value, int):
            lines.append(f"{name} = {value}\n")
        elif value:
            lines.append(f"{name} = [{', '.join(_quote(str(item)) for item in sorted(value))}]\n")
    return "".join(lines)


def _quote(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(c):04X}" if c in '"\\' or (not c.isprintable() and ord(c) < 0x10000) else c for c in text
    )
    return f'"{escaped}"'
