"""Loads the trained checkpoints by either backend, as the pool does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from latimer_server.backends.protocol import GeneratorBackend, LoadRequest
from latimer_server.backends.registry import load_backend
from latimer_server.core.decoding import DecodingOptions, Hypothesis, LanguagePair
from tests import little_languages, trained

_UNIGRAM = {
    "m2m100": {"en": "en", "pt": "pt", "fi": "fi"},
    "nllb": {"en": "eng_Latn", "pt": "por_Latn", "fi": "fin_Latn"},
    "mbart50": {"en": "en_XX", "pt": "pt_XX", "fi": "fi_FI"},
}


@dataclass(frozen=True)
class Checkpoint:
    """A trained checkpoint with its languages and prompt. Writes the source and the reference output of a meaning."""

    name: str
    task: str
    languages: dict[str, str]
    pairs: tuple[LanguagePair, ...]
    prompt: str = ""

    def source(self, meaning: little_languages.Meaning, pair: LanguagePair) -> str:
        return meaning.write(pair.source or "en")

    def reference(self, meaning: little_languages.Meaning, pair: LanguagePair) -> str:
        return meaning.write(pair.target) if self.task == "translation" else meaning.compress()


def _multilingual(name: str) -> Checkpoint:
    pairs = (LanguagePair("en", "pt"), LanguagePair("en", "fi"), LanguagePair("pt", "en"))
    return Checkpoint(name, "translation", _UNIGRAM[name], pairs)


_TWO = (LanguagePair("en", "pt"), LanguagePair("en", "fi"))
_ANY = (LanguagePair(),)
CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint("marian", "translation", {}, (LanguagePair("en", "pt"),)),
        Checkpoint("marian-multi", "translation", {"pt": "por", "fi": "fin"}, _TWO),
        Checkpoint("marian-separate", "translation", {"pt": "pob", "fi": "fin"}, _TWO),
        _multilingual("m2m100"),
        _multilingual("nllb"),
        _multilingual("mbart50"),
        Checkpoint("bart", "summarization", {}, _ANY),
        Checkpoint("pegasus", "summarization", {}, _ANY),
        Checkpoint("t5", "summarization", {}, _ANY, "summarize: "),
        Checkpoint("flan-t5", "summarization", {}, _ANY, "summarize: "),
        Checkpoint("mt5", "summarization", {}, _ANY),
        Checkpoint("llama", "summarization", {}, _ANY, "Shorten this."),
    )
}
# The converter of CTranslate2 needs one vocabulary for both sides.
CONVERTIBLE = tuple(name for name in CHECKPOINTS if name != "marian-separate")


def request(name: str, backend: str, cache_folder: Path | None = None, **keys: Any) -> LoadRequest:
    """Returns the load request that the pool would make. Conversions are kept beside the checkpoints."""
    checkpoint = CHECKPOINTS[name]
    folder = trained.locate(name)
    return LoadRequest(
        **{
            "name": name,
            "backend": backend,
            "task": checkpoint.task,
            "folder": folder,
            "cache": cache_folder or folder.parent / f"{folder.name}.made",
            "languages": checkpoint.languages,
            "prompt": checkpoint.prompt,
            "threads": 1,
            **keys,
        }
    )


@cache
def load(name: str, backend: str, compute_type: str = "float32") -> GeneratorBackend:
    """Loads a checkpoint once for all tests."""
    loaded: Any = load_backend(request(name, backend, compute_type=compute_type))
    return loaded  # type: ignore[no-any-return]


def run(
    backend: GeneratorBackend,
    texts: Sequence[str],
    pair: LanguagePair,
    options: DecodingOptions | None = None,
    batch: int = 16,
) -> list[Hypothesis]:
    """Returns the hypotheses of texts, computed in batches."""
    options = options or DecodingOptions(beam_size=1)
    options = DecodingOptions(**{**vars(options), "target": pair.target})
    rows = [encoding.ids for encoding in backend.encode(texts, pair)]
    starts = range(0, len(rows), batch)
    batches = [rows[start : start + batch] for start in starts]
    return [hypothesis for part in batches for hypothesis in backend.run(part, options, lambda: False)]


def write(backend: GeneratorBackend, hypotheses: Sequence[Hypothesis]) -> list[str]:
    """Returns the texts of the best hypotheses."""
    return backend.decode([hypothesis.ids for hypothesis in hypotheses])
