"""Chooses between CTranslate2 and transformers for a checkpoint in the hub's layout, and gives the reason.

Reads the checkpoint's configuration only. Imports no model library.
"""

from __future__ import annotations

from dataclasses import dataclass

from latimer_server.backends.huggingface.config import HubConfig, read_hub_config
from latimer_server.backends.protocol import LoadRequest


@dataclass(frozen=True)
class Choice:
    """The name of the chosen backend and the reason for it, a phrase for the log."""

    backend: str
    reason: str


def choose_backend(request: LoadRequest) -> Choice:
    """Chooses CTranslate2 for a GGUF file and for a checkpoint that it can run, otherwise transformers.

    Raises `ModelFileError` for a checkpoint of a family that neither supports, or with a bad configuration.
    """
    if any(path.suffix == ".gguf" for path in request.files.values()):
        return Choice("ctranslate2", "a GGUF file is converted")
    config = read_hub_config(request.folder, request.task)
    problem = _explain_refusal(config)
    if problem:
        return Choice("transformers", problem)
    return Choice("ctranslate2", f"{config.model_type} can be converted")


def _explain_refusal(config: HubConfig) -> str:
    """Returns the reason why CTranslate2 cannot run a checkpoint, or "" if it can."""
    if not config.family.converted:
        return f"CTranslate2 is not tested with {config.model_type}"
    if config.separate_vocabularies:
        return "CTranslate2's converter takes one vocabulary for both sides"
    if len(config.end_ids) > 1 and not config.causal:
        return "it has several end tokens"
    return ""
