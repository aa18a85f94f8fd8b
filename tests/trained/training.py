"""Shared parts of the recipes: tokenizers of the little languages, a training loop, files in the hub's layout."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    PreTrainedModel,
)

from tests.little_languages import draw_meanings
from tests.trained.kept_weights import KeptWeights, Rows

# The loss at which nearly every sentence comes out right.
_GOOD_LOSS = 0.003


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")


def train_pieces(folder: Path, name: str, languages: Sequence[str]) -> sentencepiece.SentencePieceProcessor:
    text = folder / "text.txt"
    text.write_text("\n".join(m.write(language) for m in draw_meanings(1_500, 1) for language in languages))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "pieces"),
        vocab_size=110 * len(languages),
        hard_vocab_limit=False,
        minloglevel=2,
    )
    text.unlink()
    (folder / "pieces.vocab").unlink()
    (folder / "pieces.model").rename(folder / name)
    processor = sentencepiece.SentencePieceProcessor()
    processor.Load(str(folder / name))
    return processor


def list_pieces(*processors: sentencepiece.SentencePieceProcessor) -> list[str]:
    pieces = ["</s>", "<unk>"]
    for processor in processors:
        pieces += [processor.IdToPiece(i) for i in range(processor.GetPieceSize())]
    return [piece for piece in dict.fromkeys(pieces) if piece != "<s>"]


def train_tokenizer(special: Sequence[str], *, byte_level: bool, texts: Sequence[str], pieces: int = 170) -> Tokenizer:
    if byte_level:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=460,
            special_tokens=list(special),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=pieces, special_tokens=list(special), unk_token="<unk>", show_progress=False
        )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def surround(tokenizer: Tokenizer, template: str, special: Sequence[str]) -> None:
    ids = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, pair=f"{template} $B", special_tokens=ids)


def save_tokenizer(tokenizer: Tokenizer, folder: Path, **keys: Any) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **keys})


def english(count: int, seed: int) -> list[str]:
    return [meaning.write("en") for meaning in draw_meanings(count, seed)]


def transformer_sizes() -> dict[str, Any]:
    return {
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
        "max_position_embeddings": 128,
    }


def fit(
    model: PreTrainedModel,
    folder: Path,
    rows: Rows,
    pad: int,
    after_step: Callable[[], None] = lambda: None,
    *,
    steps: int = 500,
    rate: float = 4e-3,
    causal: bool = False,
) -> None:
    """Gives the model the kept weights of this training, or trains it. `folder`: of the checkpoint that is made."""
    kept = KeptWeights(folder.name.partition(".")[0], model, rows, (pad, steps, rate, causal))
    if not kept.load():
        _train(model, rows, pad, after_step, steps=steps, rate=rate, causal=causal)
        kept.save()
        kept.load()
    model.eval()


def _train(
    model: PreTrainedModel,
    rows: Rows,
    pad: int,
    after_step: Callable[[], None],
    *,
    steps: int,
    rate: float,
    causal: bool,
) -> None:
    draw = random.Random(3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    model.train()
    with torch.no_grad():
        after_step()
    recent = 1.0  # a moving average of the loss
    for _ in range(steps):
        if recent < _GOOD_LOSS:
            break
        batch = draw.sample(rows, 48)
        if causal:
            joined = [[*source, *target] for source, target in batch]
            labels = [[*[-100] * len(source), *target] for source, target in batch]
            ids = pad_rows(joined, pad)
            loss = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=pad_rows(labels, -100)).loss
        else:
            ids = pad_rows([source for source, _ in batch], pad)
            targets = pad_rows([target for _, target in batch], -100)
            loss = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=targets).loss
        recent += 0.1 * (float(loss.detach()) - recent)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        with torch.no_grad():
            after_step()


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def save_model(model: PreTrainedModel, folder: Path, **generation: Any) -> None:
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)
