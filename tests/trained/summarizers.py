"""Trains checkpoints that compress sentences: BART, Pegasus, T5, Flan-T5, mT5 and a chat model."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.little_languages import draw_meanings
from tests.trained.training import (
    english,
    fit,
    save_model,
    save_tokenizer,
    surround,
    train_tokenizer,
    transformer_sizes,
    write_json,
)


def compression_rows(tokenizer: Tokenizer, before: str = "") -> list[tuple[list[int], list[int]]]:
    """Returns source and target ids of compressions, with the special tokens of the tokenizer's template."""
    prefix = tokenizer.encode(before, add_special_tokens=False).ids if before else []
    rows = []
    for meaning in draw_meanings(3_000, 2):
        source, target = tokenizer.encode(meaning.write("en")).ids, tokenizer.encode(meaning.compress()).ids
        rows.append(([*prefix, *source], target))
    return rows


def train_bart(folder: Path) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = train_tokenizer(special, byte_level=True, texts=english(1_500, 1))
    surround(tokenizer, "<s> $A </s>", ["<s>", "</s>"])
    save_tokenizer(tokenizer, folder, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    config = BartConfig(
        vocab_size=tokenizer.get_vocab_size(),
        **transformer_sizes(),
        dropout=0.0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
    )
    model = BartForConditionalGeneration(config)
    fit(model, folder, compression_rows(tokenizer), 1)
    save_model(
        model,
        folder,
        num_beams=4,
        max_length=60,
        min_length=4,
        early_stopping=True,
        length_penalty=2.0,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
        decoder_start_token_id=2,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    # Published configurations have this key; transformers 5 no longer writes it.
    config_file = folder / "config.json"
    write_json(config_file, json.loads(config_file.read_text()) | {"normalize_before": False})


def train_t5(folder: Path, kind: str) -> None:
    special = ["<pad>", "</s>", "<unk>"]
    prompt = "" if kind == "mt5" else "summarize: "
    texts = [*english(1_500, 1), prompt]
    tokenizer = train_tokenizer(special, byte_level=False, texts=texts)
    surround(tokenizer, "$A </s>", ["</s>"])
    save_tokenizer(tokenizer, folder, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    make_config, make_model = (
        (MT5Config, MT5ForConditionalGeneration) if kind == "mt5" else (T5Config, T5ForConditionalGeneration)
    )
    config = make_config(
        vocab_size=tokenizer.get_vocab_size(),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        feed_forward_proj="relu" if kind == "t5" else "gated-gelu",
        tie_word_embeddings=kind == "t5",
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    model: PreTrainedModel = make_model(config)
    if kind != "t5":
        # Published checkpoints have a separate output layer; transformers 5 ties it to the embeddings.
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    fit(model, folder, compression_rows(tokenizer, prompt), 0, steps=600)
    save_model(model, folder, max_length=40, decoder_start_token_id=0, eos_token_id=1, pad_token_id=0)


def train_pegasus(folder: Path) -> None:
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer = train_tokenizer(special, byte_level=False, texts=english(1_500, 1))
    surround(tokenizer, "$A </s>", ["</s>"])
    save_tokenizer(tokenizer, folder, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    config = PegasusConfig(
        vocab_size=tokenizer.get_vocab_size(),
        **transformer_sizes(),
        scale_embedding=True,
        dropout=0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        forced_eos_token_id=1,
    )
    model = PegasusForConditionalGeneration(config)
    fit(model, folder, compression_rows(tokenizer), 0)
    save_model(
        model,
        folder,
        num_beams=8,
        length_penalty=0.6,
        max_length=64,
        forced_eos_token_id=1,
        decoder_start_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
    )
    config_file = folder / "config.json"
    write_json(
        config_file, json.loads(config_file.read_text()) | {"normalize_before": True, "normalize_embedding": False}
    )


CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def train_llama(folder: Path) -> None:
    special = ["<|start|>", "<|end|>", "<pad>"]
    chat = "<|start|>user\nShorten this.\n\n{}<|end|>\n<|start|>assistant\n"
    tokenizer = train_tokenizer(
        special, byte_level=True, texts=[*english(1_500, 1), "user\nShorten this.\n\nassistant\n"]
    )
    save_tokenizer(
        tokenizer, folder, bos_token="<|start|>", eos_token="<|end|>", pad_token="<pad>", chat_template=CHAT_TEMPLATE
    )
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config)
    rows = []
    for meaning in draw_meanings(3_000, 2):
        before = tokenizer.encode(chat.format(meaning.write("en")), add_special_tokens=False).ids
        after = tokenizer.encode(meaning.compress(), add_special_tokens=False).ids
        rows.append((before, [*after, 1]))
    fit(model, folder, rows, 2, causal=True, steps=700, rate=2e-3)
    save_model(model, folder, max_length=256, bos_token_id=0, eos_token_id=1, pad_token_id=2)
