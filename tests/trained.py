"""Small checkpoints in the hub's own layout, trained from fixed seeds in seconds, so that a wrong token id, a
missing </s> or a shifted position changes what comes out.

Their languages are made of a few dozen words. Translation turns `the ADJ NOUN VERB the ADJ NOUN ADV .` into
words of the other language with the adjective behind its noun and the adverb in front; compression drops
adjectives and adverbs. Real models could be used in their stead: nothing here is known to the product.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from filelock import FileLock
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

_SYLLABLES = ["ba", "de", "fi", "go", "lu", "ma", "ne", "po", "ri", "su", "ta", "ve", "zo", "chi", "kra", "sto"]
_WORDS_PER_CLASS = {"noun": 12, "adjective": 8, "verb": 6, "adverb": 4}
# A loss at which next to every sentence comes out right.
_GOOD_LOSS = 0.003
_CACHE = Path(__file__).parent / ".cache"
LANGUAGES = ("en", "pt", "fi")


def _make_words() -> dict[str, dict[str, list[str]]]:
    """For each language and class its words, in the same order."""
    draw = random.Random(11)
    used: set[str] = set()

    def make() -> str:
        while True:
            word = "".join(draw.choice(_SYLLABLES) for _ in range(draw.choice((2, 2, 3))))
            if word not in used:
                used.add(word)
                return word

    return {
        language: {kind: [make() for _ in range(count)] for kind, count in _WORDS_PER_CLASS.items()}
        for language in LANGUAGES
    }


_WORDS = _make_words()
_ARTICLE = {"en": "the", "pt": "o", "fi": "se"}


@dataclass(frozen=True)
class Meaning:
    """What a sentence says: indices of its words."""

    subject: tuple[int, int]
    verb: int
    object: tuple[int, int]
    adverb: int | None

    def write(self, language: str) -> str:
        """The sentence in `en`, `pt` (adjectives behind, adverb in front) or `fi` (verb at the end)."""
        words, article = _WORDS[language], _ARTICLE[language]

        def phrase(pair: tuple[int, int]) -> str:
            noun, adjective = words["noun"][pair[0]], words["adjective"][pair[1]]
            return f"{article} {adjective} {noun}" if language == "en" else f"{article} {noun} {adjective}"

        verb = words["verb"][self.verb]
        adverb = "" if self.adverb is None else words["adverb"][self.adverb]
        if language == "en":
            parts = [phrase(self.subject), verb, phrase(self.object), adverb]
        elif language == "pt":
            parts = [adverb, phrase(self.subject), verb, phrase(self.object)]
        else:
            parts = [phrase(self.subject), adverb, phrase(self.object), verb]
        return " ".join(filter(None, parts)) + " ."

    def compress(self) -> str:
        """The sentence without adjectives and adverb."""
        words = _WORDS["en"]
        return f"the {words['noun'][self.subject[0]]} {words['verb'][self.verb]} the {words['noun'][self.object[0]]} ."


def draw_meanings(count: int, seed: int) -> list[Meaning]:
    """Random meanings."""
    draw = random.Random(seed)

    def pair() -> tuple[int, int]:
        return draw.randrange(_WORDS_PER_CLASS["noun"]), draw.randrange(_WORDS_PER_CLASS["adjective"])

    return [
        Meaning(
            pair(),
            draw.randrange(_WORDS_PER_CLASS["verb"]),
            pair(),
            draw.randrange(_WORDS_PER_CLASS["adverb"]) if draw.random() < 0.6 else None,
        )
        for _ in range(count)
    ]


def locate(name: str) -> Path:
    """The folder of a checkpoint, trained when it is asked for the first time on this machine."""
    recipe = hashlib.sha256(Path(__file__).read_bytes() + version("transformers").encode()).hexdigest()[:12]
    folder = _CACHE / f"{name}-{recipe}"
    _CACHE.mkdir(exist_ok=True)
    with FileLock(_CACHE / f"{name}.lock"):
        if not folder.is_dir():
            for old in (*_CACHE.glob(f"{name}-{'?' * 12}"), *_CACHE.glob(f"{name}-{'?' * 12}.made")):
                shutil.rmtree(old, ignore_errors=True)
            staged = _CACHE / f"{name}.new"
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            # torch draws from one generator for the whole process: what is trained must not depend on what ran before.
            threads = torch.get_num_threads()
            with torch.random.fork_rng():
                torch.manual_seed(5)
                torch.set_num_threads(1)  # so little is to be multiplied that a second thread only spins
                _RECIPES[name](staged)
            torch.set_num_threads(threads)
            staged.rename(folder)
    return folder


# --- Marian ---------------------------------------------------------------------------------------------------


def _train_pieces(folder: Path, name: str, languages: Sequence[str]) -> sentencepiece.SentencePieceProcessor:
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


def _list_pieces(*processors: sentencepiece.SentencePieceProcessor) -> list[str]:
    pieces = ["</s>", "<unk>"]
    for processor in processors:
        pieces += [processor.IdToPiece(i) for i in range(processor.GetPieceSize())]
    return [piece for piece in dict.fromkeys(pieces) if piece != "<s>"]


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")


def _train_marian(folder: Path, targets: Sequence[str], tokens: Sequence[str], *, separate: bool) -> None:
    source, target = _train_pieces(folder, "source.spm", ["en"]), _train_pieces(folder, "target.spm", targets)
    if separate:
        encoder, decoder = _list_pieces(source), _list_pieces(target)
        encoder[2:2] = [f">>{token}<<" for token in tokens]
        # Both sides have one number for <pad>, as published models have.
        for pieces in (encoder, decoder):
            pieces += [f"madeup{i}" for i in range(max(len(encoder), len(decoder)) - len(pieces))]
    else:
        encoder = _list_pieces(source, target)
        encoder[2:2] = [f">>{token}<<" for token in tokens]
        decoder = encoder
    encoder_ids = {piece: i for i, piece in enumerate([*encoder, "<pad>"])}
    decoder_ids = {piece: i for i, piece in enumerate([*decoder, "<pad>"])}
    _write_json(folder / "vocab.json", encoder_ids)
    if separate:
        _write_json(folder / "target_vocab.json", decoder_ids)
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "MarianTokenizer", "model_max_length": 512, "separate_vocabs": separate},
    )
    pad = decoder_ids["<pad>"]
    config = MarianConfig(
        vocab_size=len(encoder_ids),
        decoder_vocab_size=len(decoder_ids),
        share_encoder_decoder_embeddings=not separate,
        tie_word_embeddings=not separate,
        **_transformer_sizes(),
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=None,
        dropout=0.0,
    )
    model = MarianMTModel(config)
    rows: list[tuple[list[int], list[int]]] = []
    for index, meaning in enumerate(draw_meanings(3_000, 2)):
        chosen = index % len(targets)
        prefix = [encoder_ids[f">>{tokens[chosen]}<<"]] if tokens else []
        pieces = source.encode(meaning.write("en"), out_type=str)
        written = target.encode(meaning.write(targets[chosen]), out_type=str)
        rows.append(
            (
                [*prefix, *(encoder_ids.get(p, 1) for p in pieces), 0],
                [*(decoder_ids.get(p, 1) for p in written), 0],
            )
        )
    pads = [module for module in model.modules() if isinstance(module, torch.nn.Embedding) and module.padding_idx]

    def zero_pads() -> None:
        # As in every converted Marian model: the decoder starts from a zero vector.
        for module in pads:
            module.weight[module.padding_idx] = 0

    _fit(model, rows, encoder_ids["<pad>"], zero_pads)
    _save(
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


# --- the other families ---------------------------------------------------------------------------------------


def _train_tokenizer(special: Sequence[str], *, byte_level: bool, texts: Sequence[str], pieces: int = 170) -> Tokenizer:
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


def _surround(tokenizer: Tokenizer, template: str, special: Sequence[str]) -> None:
    ids = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, pair=f"{template} $B", special_tokens=ids)


def _save_tokenizer(tokenizer: Tokenizer, folder: Path, **keys: Any) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **keys})


def _english(count: int, seed: int) -> list[str]:
    return [meaning.write("en") for meaning in draw_meanings(count, seed)]


def _transformer_sizes() -> dict[str, Any]:
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


def _compression_rows(tokenizer: Tokenizer, before: str = "") -> list[tuple[list[int], list[int]]]:
    """Source and target ids of compressions, with what the tokenizer's template puts around them."""
    prefix = tokenizer.encode(before, add_special_tokens=False).ids if before else []
    rows = []
    for meaning in draw_meanings(3_000, 2):
        source, target = tokenizer.encode(meaning.write("en")).ids, tokenizer.encode(meaning.compress()).ids
        rows.append(([*prefix, *source], target))
    return rows


def _train_bart(folder: Path) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = _train_tokenizer(special, byte_level=True, texts=_english(1_500, 1))
    _surround(tokenizer, "<s> $A </s>", ["<s>", "</s>"])
    _save_tokenizer(tokenizer, folder, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    config = BartConfig(
        vocab_size=tokenizer.get_vocab_size(),
        **_transformer_sizes(),
        dropout=0.0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
    )
    model = BartForConditionalGeneration(config)
    _fit(model, _compression_rows(tokenizer), 1)
    _save(
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
    # Published configurations carry these, transformers 5 writes them no more.
    config_file = folder / "config.json"
    _write_json(config_file, json.loads(config_file.read_text()) | {"normalize_before": False})


def _train_t5(folder: Path, kind: str) -> None:
    special = ["<pad>", "</s>", "<unk>"]
    prompt = "" if kind == "mt5" else "summarize: "
    texts = [*_english(1_500, 1), prompt]
    tokenizer = _train_tokenizer(special, byte_level=False, texts=texts)
    _surround(tokenizer, "$A </s>", ["</s>"])
    _save_tokenizer(tokenizer, folder, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
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
        # As published: an output layer of its own, whatever transformers 5 says of tied weights.
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    _fit(model, _compression_rows(tokenizer, prompt), 0, steps=600)
    _save(model, folder, max_length=40, decoder_start_token_id=0, eos_token_id=1, pad_token_id=0)


def _train_pegasus(folder: Path) -> None:
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer = _train_tokenizer(special, byte_level=False, texts=_english(1_500, 1))
    _surround(tokenizer, "$A </s>", ["</s>"])
    _save_tokenizer(tokenizer, folder, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    config = PegasusConfig(
        vocab_size=tokenizer.get_vocab_size(),
        **_transformer_sizes(),
        scale_embedding=True,
        dropout=0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        forced_eos_token_id=1,
    )
    model = PegasusForConditionalGeneration(config)
    _fit(model, _compression_rows(tokenizer), 0)
    _save(
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
    _write_json(
        config_file, json.loads(config_file.read_text()) | {"normalize_before": True, "normalize_embedding": False}
    )


def _multilingual_sizes() -> dict[str, Any]:
    return {
        **_transformer_sizes(),
        "scale_embedding": True,
        "dropout": 0.0,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    }


def _fit_multilingual(model: PreTrainedModel, folder: Path, encode: Callable[[str, str], list[int]]) -> None:
    """Encoder and decoder are told their languages by a token each, in front of the text."""
    rows = []
    for index, meaning in enumerate(draw_meanings(6_000, 2)):
        source, target = [("en", "pt"), ("en", "fi"), ("pt", "en")][index % 3]
        rows.append((encode(source, meaning.write(source)), encode(target, meaning.write(target))))
    _fit(model, rows, 1, steps=900)
    _save(
        model,
        folder,
        num_beams=5,
        max_length=200,
        decoder_start_token_id=2,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def _train_m2m100(folder: Path) -> None:
    """Its language tokens stand in no file but in the tokenizer's class, behind the vocabulary."""
    processor = _train_pieces(folder, "sentencepiece.bpe.model", LANGUAGES)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(p for p in _list_pieces(processor) if p not in ("</s>", "<unk>"))]
    _write_json(folder / "vocab.json", {piece: i for i, piece in enumerate(pieces)})
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "M2M100Tokenizer", "model_max_length": 1024})
    tokenizer = M2M100Tokenizer.from_pretrained(folder)
    _write_json(folder / "special_tokens_map.json", {"additional_special_tokens": sorted(tokenizer.lang_token_to_id)})
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


def _train_unigram_multilingual(folder: Path, kind: str, names: dict[str, str]) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>", *names.values()]
    texts = [meaning.write(language) for meaning in draw_meanings(1_500, 1) for language in LANGUAGES]
    tokenizer = _train_tokenizer(special, byte_level=False, texts=texts, pieces=300)
    _surround(tokenizer, f"{names['en']} $A </s>", [names["en"], "</s>"])
    _save_tokenizer(
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
    _write_json(config_file, json.loads(config_file.read_text()) | extra)


CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def _train_llama(folder: Path) -> None:
    special = ["<|start|>", "<|end|>", "<pad>"]
    chat = "<|start|>user\nShorten this.\n\n{}<|end|>\n<|start|>assistant\n"
    tokenizer = _train_tokenizer(
        special, byte_level=True, texts=[*_english(1_500, 1), "user\nShorten this.\n\nassistant\n"]
    )
    _save_tokenizer(
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
    _fit(model, rows, 2, causal=True, steps=700, rate=2e-3)
    _save(model, folder, max_length=256, bos_token_id=0, eos_token_id=1, pad_token_id=2)


# --- training -------------------------------------------------------------------------------------------------


def _fit(
    model: PreTrainedModel,
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    pad: int,
    after_step: Callable[[], None] = lambda: None,
    *,
    steps: int = 500,
    rate: float = 4e-3,
    causal: bool = False,
) -> None:
    draw = random.Random(3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    model.train()
    with torch.no_grad():
        after_step()
    recent = 1.0  # the loss of late, on average
    for _ in range(steps):
        if recent < _GOOD_LOSS:
            break
        batch = draw.sample(rows, 48)
        if causal:
            joined = [[*source, *target] for source, target in batch]
            labels = [[*[-100] * len(source), *target] for source, target in batch]
            ids = _pad(joined, pad)
            loss = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=_pad(labels, -100)).loss
        else:
            ids = _pad([source for source, _ in batch], pad)
            targets = _pad([target for _, target in batch], -100)
            loss = model(input_ids=ids, attention_mask=(ids != pad).long(), labels=targets).loss
        recent += 0.1 * (float(loss.detach()) - recent)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        with torch.no_grad():
            after_step()
    model.eval()


def _pad(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def _save(model: PreTrainedModel, folder: Path, **generation: Any) -> None:
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)


_RECIPES: dict[str, Callable[[Path], None]] = {
    "marian": lambda folder: _train_marian(folder, ["pt"], [], separate=False),
    "marian-multi": lambda folder: _train_marian(folder, ["pt", "fi"], ["por", "fin"], separate=False),
    "marian-separate": lambda folder: _train_marian(folder, ["pt", "fi"], ["pob", "fin"], separate=True),
    "bart": _train_bart,
    "t5": lambda folder: _train_t5(folder, "t5"),
    "flan-t5": lambda folder: _train_t5(folder, "flan-t5"),
    "mt5": lambda folder: _train_t5(folder, "mt5"),
    "pegasus": _train_pegasus,
    "m2m100": _train_m2m100,
    "nllb": lambda folder: _train_unigram_multilingual(
        folder, "nllb", {"en": "eng_Latn", "pt": "por_Latn", "fi": "fin_Latn"}
    ),
    "mbart50": lambda folder: _train_unigram_multilingual(
        folder, "mbart50", {"en": "en_XX", "pt": "pt_XX", "fi": "fi_FI"}
    ),
    "llama": _train_llama,
}
NAMES = tuple(_RECIPES)
