"""Chooses between CTranslate2 and transformers for a checkpoint in the hub's layout, and says why.

Pure but for reading the checkpoint's configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

from latimer_server.backends.huggingface.config import HubConfig, read_hub_config
from latimer_server.backends.protocol import LoadRequest

# What CTranslate2's converters read and our conformance tests cover.
_CONVERTED = ("marian", "bart", "mbart", "m2m_100", "pegasus", "t5", "mt5", "llama", "mistral", "qwen2")


@dataclass(frozen=True)
class Choice:
    """A backend and the reason for it."""

    backend: str
    reason: str


def choose_backend(request: LoadRequest) -> Choice:
    """CTranslate2 where it can, transformers where it cannot. Raises `ModelFileError` for a checkpoint that
    neither runs."""
    if any(path.suffix == ".gguf" for path in request.files.values()):
        return Choice("ctranslate2", "a GGUF file is converted")
    config = read_hub_config(request.folder, request.task)
    problem = _explain_refusal(config)
    if problem:
        return Choice("transformers", problem)
    return Choice("ctranslate2", f"{config.model_type} can be converted")


def _explain_refusal(config: HubConfig) -> str:
    if config.model_type not in _CONVERTED:
        return f"CTranslate2 is not tested with {config.model_type}"
    if config.separate_vocabularies:
        return "CTranslate2's converter takes one vocabulary for both sides"
    if len(config.end_ids) > 1 and not config.causal:
        return "it ends with several tokens"
    return ""
