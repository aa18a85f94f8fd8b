"""The index of digests behaves as a dict."""

from __future__ import annotations

from hashlib import blake2b

from latimer.batch.digest_index import DigestIndex


def test_the_index_grows_and_finds_what_a_dict_finds() -> None:
    index = DigestIndex()
    wanted: dict[bytes, int] = {}
    for number in range(10_000):
        digest = blake2b(str(number % 7_000).encode(), digest_size=16).digest()
        index[digest] = number
        wanted[digest] = number
    assert len(index) == len(wanted)
    assert all(index.get(digest) == number for digest, number in wanted.items())
    assert index.get(b"\0" * 16) is None


def test_digests_that_begin_alike_share_an_entry_and_zero_is_a_digest() -> None:
    index = DigestIndex()
    index[bytes(8) + b"a" * 8] = 1
    index[bytes(8) + b"b" * 8] = 2
    assert index.get(bytes(16)) == 2
    assert len(index) == 1
