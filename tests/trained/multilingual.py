"""Trains checkpoints of M2M-100, NLLB and mBART-50, whose languages are given by tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedModel,
)

from tests.little_languages import LANGUAGES, draw_meanings
from tests.trained.training import (
    fit,
    list_pieces,
    save_model,
    save_tokenizer,
    surround,
    train_pieces,
    train_tokenizer,
    transformer_sizes,
    write_json,
)


def _multilingual_sizes() -> dict[str, Any]:
    return {
        **transformer_sizes(),
        "scale_embedding": True,
        "dropout": 0.0,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    }


def _fit_multilingual(model: PreTrainedModel, folder: Path, encode: Callable[[str, str], list[int]]) -> None:
    """Trains on texts whose first token is that of their language, in the encoder and in the decoder."""
    rows = []
    for index, meaning in enumerate(draw_meanings(6_000, 2)):
        source, target = [("en", "pt"), ("en", "fi"), ("pt", "en")][index % 3]
        rows.append((encode(source, meaning.write(source)), encode(target, meaning.write(target))))
    fit(model, folder, rows, 1, steps=900)
    save_model(
        model,
        folder,
        num_beams=5,
        max_length=200,
        decoder_start_token_id=2,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def train_m2m100(folder: Path) -> None:
    """Trains M2M-100. Its language tokens are in no file: the tokenizer's class appends them to the vocabulary."""
    processor = train_pieces(folder, "sentencepiece.bpe.model", LANGUAGES)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(p for p in list_pieces(processor) if p not in ("</s>", "<unk>"))]
    write_json(folder / "vocab.json", {piece: i for i, piece in enumerate(pieces)})
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "M2M100Tokenizer", "model_max_length": 1024})
    tokenizer = M2M100Tokenizer.from_pretrained(folder)
    write_json(folder / "special_tokens_map.json", {"additional_special_tokens": sorted(tokenizer.lang_token_to_id)})
    config = M2M100Config(
        vocab_size=len(pieces) + len(tokenizer.lang_token_to_id) + 8,
        **_multilingual_sizes(),
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
    )

    def encode(language: str, text: str) -> list[int]:
        body = [tokenizer.encoder.get(piece, 3) for piece in processor.encode(text, out_type=str)]
        return [tokenizer.get_lang_id(language), *body, 2]

    _fit_multilingual(M2M100ForConditionalGeneration(config), folder, encode)


def train_unigram_multilingual(folder: Path, kind: str, names: dict[str, str]) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>", *names.values()]
    texts = [meaning.write(language) for meaning in draw_meanings(1_500, 1) for language in LANGUAGES]
    tokenizer = train_tokenizer(special, byte_level=False, texts=texts, pieces=300)
    surround(tokenizer, f"{names['en']} $A </s>", [names["en"], "</s>"])
    save_tokenizer(
        tokenizer,
        folder,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=list(names.values()),
    )
    sizes = {"vocab_size": tokenizer.get_vocab_size(), **_multilingual_sizes()}

    def encode(language: str, text: str) -> list[int]:
        body = tokenizer.encode(text, add_special_tokens=False).ids
        return [int(str(tokenizer.token_to_id(names[language]))), *body, 2]

    model: PreTrainedModel
    if kind == "mbart50":
        model = MBartForConditionalGeneration(MBartConfig(**sizes))
    else:
        model = M2M100ForConditionalGeneration(M2M100Config(**sizes, encoder_layerdrop=0.0, decoder_layerdrop=0.0))
    _fit_multilingual(model, folder, encode)
    classes = {"nllb": "NllbTokenizer", "mbart50": "MBart50Tokenizer"}
    config_file = folder / "config.json"
    extra = {"normalize_before": True, "normalize_embedding": True, "tokenizer_class": classes[kind]}
    write_json(config_file, json.loads(config_file.read_text()) | extra)
