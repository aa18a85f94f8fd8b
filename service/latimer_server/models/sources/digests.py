"""Digests of files: SHA-256, and the SHA-1 that git (and so the hub, for its small files) names a blob by.

Knows bytes only; what a digest ought to be, its callers know.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_CHUNK = 1 << 20
_SHA256_DIGITS = 64
_GIT_DIGITS = 40


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    return _digest(path, hashlib.sha256())


def git_blob_of(path: Path) -> str:
    """Git's name of a file's content, in hexadecimal. Raises OSError."""
    # git's own format, not a safeguard: SHA-256 is what we record.
    return _digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False))


def digest_like(path: Path, published: str) -> str:
    """The digest of a file, of the kind that a published one is. Raises OSError."""
    return git_blob_of(path) if len(published) == _GIT_DIGITS else sha256_of(path)


def is_digest(text: str | None) -> bool:
    """Whether a text (an ETag, say) is a digest of one of the two kinds."""
    return text is not None and len(text) in (_SHA256_DIGITS, _GIT_DIGITS) and set(text) <= set("0123456789abcdef")


def sync_file(path: Path) -> None:
    """Has a file's content on disk before it returns. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Has the names in a folder on disk before it returns, where the system can. Raises OSError."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _digest(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
