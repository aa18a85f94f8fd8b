"""The index of digests behaves as a dict."""

from __future__ import annotations

import tracemalloc
from hashlib import blake2b

import pytest

from latimer.batch.digest_index import DigestIndex


def _digest(number: int) -> bytes:
    return blake2b(str(number).encode(), digest_size=16).digest()


@pytest.mark.parametrize("most_recent", [65_536, 1_000, 1])
def test_the_index_grows_and_finds_what_a_dict_finds(most_recent: int) -> None:
    index = DigestIndex(most_recent)
    wanted: dict[bytes, int] = {}
    for number in range(10_000):
        digest = _digest(number % 7_000)
        index[digest] = number
        wanted[digest] = number
    assert len(index) == len(wanted)
    assert all(index.get(digest) == number for digest, number in wanted.items())
    assert index.get(b"\0" * 16) is None
    assert all(index.get(_digest(number)) is None for number in range(7_000, 9_000))
    index.close()


def test_memory_does_not_grow_with_the_entries() -> None:
    index = DigestIndex(most_recent=1_000)
    tracemalloc.start()
    try:
        sizes = []
        for number in range(40_000):
            index[_digest(number)] = number
            if number in {20_000, 39_999}:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        index.close()
    assert sizes[1] - sizes[0] < 20_000


def test_digests_that_begin_alike_share_an_entry_and_zero_is_a_digest() -> None:
    index = DigestIndex()
    index[bytes(8) + b"a" * 8] = 1
    index[bytes(8) + b"b" * 8] = 2
    assert index.get(bytes(16)) == 2
    assert len(index) == 1
