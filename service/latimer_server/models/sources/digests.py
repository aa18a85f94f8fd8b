"""Digests: computes the SHA-256 and the git blob id of files, and flushes files to disk.

A git blob id is a SHA-1 over a header and the content. The Hugging Face hub publishes it for small files.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_CHUNK = 1 << 20
_SHA256_DIGITS = 64
_GIT_DIGITS = 40


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal. Raises OSError."""
    return _digest(path, hashlib.sha256())


def git_blob_of(path: Path) -> str:
    """Returns the git blob id of a file in hexadecimal. Raises OSError."""
    # SHA-1 is git's format. Security does not rest on it: the store records and verifies SHA-256.
    return _digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False))


def digest_like(path: Path, published: str) -> str:
    """Returns the git blob id of a file if `published` has the length of one, else its SHA-256. Raises OSError.

    The result is comparable with the digest `published`.
    """
    return git_blob_of(path) if len(published) == _GIT_DIGITS else sha256_of(path)


def is_digest(text: str | None) -> bool:
    """Returns True if a text, such as an ETag, has the form of a SHA-256 or a git blob id."""
    return text is not None and len(text) in (_SHA256_DIGITS, _GIT_DIGITS) and set(text) <= set("0123456789abcdef")


def sync_file(path: Path) -> None:
    """Flushes the content of a file to disk. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flushes the names of the files in a folder to disk, so that a rename survives a crash. Raises OSError.

    Does nothing on operating systems that cannot do this.
    """
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
