"""Locates, loads and runs the embedded students: the models that the server's package contains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fxtranslate

from latimer_server.backends.marian.student import MarianStudent, load_student
from latimer_server.config.settings import load_settings
from latimer_server.core.decoding import DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.poll_time import Cancellation, PollTime
from latimer_server.models.catalog.catalog import load_catalog
from latimer_server.models.store.store import Store

# Cancels nothing and sets no poll time, so that the students' C++ computes as many steps in a call as in the server.
NEVER_CANCELLED = Cancellation(lambda: False, PollTime())
# The embedded student of each direction.
NAMES = {("en", "pt"): "firefox-en-pt", ("pt", "en"): "firefox-pt-en"}


def locate_student(name: str) -> Mapping[str, Path]:
    """Returns the files of a catalogue entry by role (`model`, `vocabulary`, `shortlist`)."""
    return Store(load_settings(None).store).locate(load_catalog().get(name))


def load_oracle(files: Mapping[str, Path]) -> Any:  # noqa: ANN401 (fxtranslate has no types)
    """Loads a student with one shared vocabulary by fxtranslate, an independent engine for the same files."""
    vocabulary = files["vocabulary"].read_bytes()
    return fxtranslate.Translator(
        model=files["model"].read_bytes(),
        src_vocab=vocabulary,
        trg_vocab=vocabulary,
        shortlist=files["shortlist"].read_bytes(),
    )


def load_embedded_student(name: str, concurrent_batches: int) -> MarianStudent:
    """Loads an embedded student that computes up to `concurrent_batches` batches at the same time."""
    return load_student(locate_student(name), concurrent_batches)


def run_in_batches(
    student: MarianStudent, rows: Sequence[TokenIds], size: int, options: DecodingOptions | None = None
) -> list[Hypothesis]:
    """Decodes all rows in batches of `size` rows, in their order. The default options are those of the model."""
    options = options or DecodingOptions()
    batches = (rows[start : start + size] for start in range(0, len(rows), size))
    return [hypothesis for batch in batches for hypothesis in student.run(batch, options, NEVER_CANCELLED)]


def translate_in_batches(student: MarianStudent, texts: Sequence[str], size: int) -> list[str]:
    """Translates each text by itself, in batches of `size` texts."""
    hypotheses = run_in_batches(student, [encoding.ids for encoding in student.encode(texts)], size)
    return student.decode([hypothesis.ids for hypothesis in hypotheses])
