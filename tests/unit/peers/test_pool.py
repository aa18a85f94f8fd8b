"""Tests of the processes of peers: what they get, and what becomes of their answers."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from benchmarks.peers.pool import PeerCommand, start_pool
from benchmarks.peers.texts import Paragraph

pytestmark = pytest.mark.asyncio

# A peer that marks each text with the number of texts of its request.
ECHO = """
import json, sys
print(json.dumps({"version": "1", "computes": "int8"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    texts = [f"{text}/{len(request['texts'])}" for text in request["texts"]]
    print(json.dumps({"id": request["id"], "texts": texts, "seconds": [0.0] * len(texts)}), flush=True)
"""
PARAGRAPHS = [Paragraph("A. B.", ("A.", "B."), ""), Paragraph("C.", ("C.",), "")]
COMMAND = PeerCommand("echo", (sys.executable, "-c", ECHO), 1, 1, splits=False)


@pytest.mark.parametrize(
    ("command", "outputs"),
    [
        (COMMAND, ["A./2 B./2", "C./1"]),
        (replace(COMMAND, splits=True), ["A. B./1", "C./1"]),
        (replace(COMMAND, together=True), ["A./3 B./3", "C./3"]),
        (replace(COMMAND, splits=True, together=True), ["A. B./2", "C./2"]),
    ],
)
async def test_paragraphs_are_divided_and_joined(command: PeerCommand, outputs: list[str]) -> None:
    pool = await start_pool(command)
    try:
        assert await pool.translate_all(PARAGRAPHS) == outputs
        assert pool.described == "1 (int8)"
    finally:
        await pool.close()
