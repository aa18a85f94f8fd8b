"""The table of model families that the backends for checkpoints of the hub support.

A family is a `model_type` of transformers' `config.json`. Imports no model library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelFamily:
    """A family of models, and where the backends must treat it in its own way.

    `causal`: the model continues its prompt; others have an encoder that reads the source.
    `converted`: CTranslate2's converters read it, and our conformance tests cover it.
    `marian_files`: has `vocab.json`, `source.spm` and `target.spm`, may have one vocabulary for each side, and loses
    its <pad> in the conversion.
    `language_mark`: the format of its language tokens, if the tokenizer does not list them by plain code.
    `relative_positions`: has no `max_position_embeddings`.
    `overflows_float16`: was trained in bfloat16 and overflows in float16.
    `scales_logits`: scales its logits if `scale_decoder_outputs` says so.
    `missing_defaults`: configuration keys that CTranslate2's converter needs and transformers 5 does not write, with
    the values of published checkpoints.
    """

    model_type: str
    causal: bool = False
    converted: bool = False
    marian_files: bool = False
    language_mark: str = ""
    relative_positions: bool = False
    overflows_float16: bool = False
    scales_logits: bool = False
    missing_defaults: Mapping[str, bool] = field(default_factory=dict)


FAMILIES = {
    family.model_type: family
    for family in (
        ModelFamily("marian", converted=True, marian_files=True, language_mark=">>{}<<"),
        ModelFamily("bart", converted=True, missing_defaults={"normalize_before": False}),
        ModelFamily("mbart", converted=True, missing_defaults={"normalize_before": True}),
        ModelFamily("m2m_100", converted=True, language_mark="__{}__"),
        ModelFamily(
            "pegasus", converted=True, missing_defaults={"normalize_before": True, "normalize_embedding": False}
        ),
        ModelFamily("t5", converted=True, relative_positions=True, overflows_float16=True, scales_logits=True),
        ModelFamily("mt5", converted=True, relative_positions=True, overflows_float16=True, scales_logits=True),
        ModelFamily("llama", causal=True, converted=True),
        ModelFamily("mistral", causal=True, converted=True),
        ModelFamily("qwen2", causal=True, converted=True),
        ModelFamily("qwen3", causal=True),
        ModelFamily("gemma", causal=True),
        ModelFamily("phi3", causal=True),
        ModelFamily("smollm3", causal=True),
        ModelFamily("gpt2", causal=True),
        ModelFamily("gpt_neox", causal=True),
        ModelFamily("olmo2", causal=True),
        ModelFamily("granite", causal=True),
    )
}
