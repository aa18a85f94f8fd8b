"""Tests of cutting the long document."""

from __future__ import annotations

from benchmarks.peers.texts import SHORT_DOCUMENT, cut_document, join_paragraphs


def test_a_document_consists_of_whole_paragraphs() -> None:
    assert join_paragraphs(["a" * 40, "b" * 40, "c" * 40], 100) == f"{'a' * 40}\n\n{'b' * 40}"


def test_short_documents_come_from_all_parts_of_the_long_one() -> None:
    paragraphs = [f"{number:04} " * 40 for number in range(2_000)]
    document = join_paragraphs(paragraphs, 300_000)
    pieces = cut_document(document)
    assert len(pieces) == 8
    assert all(0.9 * SHORT_DOCUMENT < len(piece) <= SHORT_DOCUMENT and piece in document for piece in pieces)
    firsts = [piece.split()[0] for piece in pieces]
    assert firsts == sorted(set(firsts))
    assert document.index(pieces[-1]) > 0.8 * len(document)
