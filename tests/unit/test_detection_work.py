"""Tests of where languages are detected: the event loop never loads a model for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from latimer_server.scheduling.text_work import TextWorkers
from latimer_server.text.detection import Detection, LanguageDetector
from latimer_server.translation.requests import TranslateRequest
from latimer_server.translation.translator import Translator
from tests.pool_fakes import Maker, make_models, open_pool


class WatchedDetector(LanguageDetector):
    """A detector that keeps the threads of its detections."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []

    def detect(self, text: str, candidates: Sequence[str] = (), *, only: bool = True) -> Detection:
        self.threads.append(threading.current_thread())
        return super().detect(text, candidates, only=only)


@pytest.mark.parametrize("translates", [True, False])
async def test_the_model_of_detection_is_loaded_off_the_event_loop(tmp_path: Path, *, translates: bool) -> None:
    loop_thread, detector, workers = threading.current_thread(), WatchedDetector(), TextWorkers()
    async with open_pool(make_models(tmp_path, "one"), tmp_path, Maker()) as pool:
        translator = Translator(pool, detector, text_workers=workers)

        async def detect() -> None:
            if translates:
                await translator.translate(TranslateRequest(("Bom dia a todos",), "", ("pt",)))
            else:
                await translator.detect(["Bom dia a todos"], (), translator.begin_text_work(None, None))

        await detect()
        first = list(detector.threads)
        await detect()
    workers.close()
    assert first
    assert loop_thread not in first
    # Once it is loaded, a short text is read at once.
    assert set(detector.threads[len(first) :]) == {loop_thread}
