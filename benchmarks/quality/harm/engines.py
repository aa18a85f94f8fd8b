"""Translates by the whole path (a real server over a real channel) and by the bare engine (the same model alone)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.quality.fidelity.answers import Answer
from benchmarks.quality.fidelity.service import Service
from benchmarks.students import NAMES, load_embedded_student, translate_in_batches
from latimer_server.backends.marian.student import MarianStudent

_TEXTS_PER_CALL = 25


class Engines:
    """Both ways to translate in one direction.

    The bare engine encodes, decodes and detokenizes one sentence at a time: no protection, no casing, no
    normalization of characters, no segmentation and no repair.
    """

    def __init__(self, service: Service, languages: tuple[str, str]) -> None:
        self._service = service
        self._languages = languages
        self._student: MarianStudent = load_embedded_student(NAMES[languages], 1)

    async def run_whole(self, texts: Sequence[str], options: Mapping[str, Any] | None = None) -> list[Answer]:
        """Returns the server's answers. `options`: the contract's TranslateOptions."""
        options = {"disable_cache": True, **(options or {})}
        calls = [texts[start : start + _TEXTS_PER_CALL] for start in range(0, len(texts), _TEXTS_PER_CALL)]
        answers: list[Answer] = []
        for call in calls:
            answers += await self._service.translate(call, *self._languages, options)
        return answers

    async def run_bare(self, texts: Sequence[str]) -> list[str]:
        """Returns the model's outputs, each computed in a batch of its own."""
        return await asyncio.to_thread(translate_in_batches, self._student, texts, 1)
