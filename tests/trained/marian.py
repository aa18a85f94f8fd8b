"""Trains MarianMT checkpoints: bilingual, multi-target, and with separate vocabularies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from sentencepiece import SentencePieceProcessor
from transformers import MarianConfig, MarianMTModel

from tests.little_languages import draw_meanings
from tests.trained.training import fit, list_pieces, save_model, train_pieces, transformer_sizes, write_json


def train_marian(folder: Path, targets: Sequence[str], tokens: Sequence[str], *, separate: bool) -> None:
    source, target = train_pieces(folder, "source.spm", ["en"]), train_pieces(folder, "target.spm", targets)
    if separate:
        encoder, decoder = list_pieces(source), list_pieces(target)
        encoder[2:2] = [f">>{token}<<" for token in tokens]
        # Both sides share the id of <pad>, as in published models.
        for pieces in (encoder, decoder):
            pieces += [f"madeup{i}" for i in range(max(len(encoder), len(decoder)) - len(pieces))]
    else:
        encoder = list_pieces(source, target)
        encoder[2:2] = [f">>{token}<<" for token in tokens]
        decoder = encoder
    encoder_ids = {piece: i for i, piece in enumerate([*encoder, "<pad>"])}
    decoder_ids = {piece: i for i, piece in enumerate([*decoder, "<pad>"])}
    write_json(folder / "vocab.json", encoder_ids)
    if separate:
        write_json(folder / "target_vocab.json", decoder_ids)
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "MarianTokenizer", "model_max_length": 512, "separate_vocabs": separate},
    )
    pad = decoder_ids["<pad>"]
    config = MarianConfig(
        vocab_size=len(encoder_ids),
        decoder_vocab_size=len(decoder_ids),
        share_encoder_decoder_embeddings=not separate,
        tie_word_embeddings=not separate,
        **transformer_sizes(),
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=None,
        dropout=0.0,
    )
    model = MarianMTModel(config)
    rows = _draw_sentence_pairs((source, encoder_ids), (target, decoder_ids), targets, tokens)
    pads = [module for module in model.modules() if isinstance(module, torch.nn.Embedding) and module.padding_idx]

    def zero_pads() -> None:
        # The decoder of every converted Marian model starts from a zero vector.
        for module in pads:
            module.weight[module.padding_idx] = 0

    fit(model, folder, rows, encoder_ids["<pad>"], zero_pads)
    save_model(
        model,
        folder,
        num_beams=4,
        max_length=512,
        bad_words_ids=[[pad]],
        forced_eos_token_id=None,
        decoder_start_token_id=pad,
        eos_token_id=0,
        pad_token_id=pad,
    )


def _draw_sentence_pairs(
    source: tuple[SentencePieceProcessor, Mapping[str, int]],
    target: tuple[SentencePieceProcessor, Mapping[str, int]],
    targets: Sequence[str],
    tokens: Sequence[str],
) -> list[tuple[list[int], list[int]]]:
    """Returns 3,000 English sentences and their translations, the targets in turn, as token ids that end with `</s>`.

    `source` and `target` are each a tokenizer and the ids of its pieces; `tokens` are the targets' language tokens.
    """
    (source_pieces, source_ids), (target_pieces, target_ids) = source, target
    rows = []
    for index, meaning in enumerate(draw_meanings(3_000, 2)):
        chosen = index % len(targets)
        prefix = [source_ids[f">>{tokens[chosen]}<<"]] if tokens else []
        pieces = source_pieces.encode(meaning.write("en"), out_type=str)
        written = target_pieces.encode(meaning.write(targets[chosen]), out_type=str)
        inputs = [*prefix, *(source_ids.get(piece, 1) for piece in pieces), 0]
        rows.append((inputs, [*(target_ids.get(piece, 1) for piece in written), 0]))
    return rows
