"""Tests of invalid tokenizer files: the error names the file, even after a panic of the library."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from latimer_server.backends.huggingface.config import read_hub_config
from latimer_server.backends.huggingface.generator import HubGenerator
from latimer_server.backends.huggingface.tokenization import Tokenization, load_tokenization
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.decoding import LanguagePair
from latimer_server.core.errors import ModelFileError


def write(folder: Path, **files: object) -> None:
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))


def load(folder: Path, **languages: str) -> Tokenization:
    request = LoadRequest("m", "auto", "translation" if languages else "summarization", folder, languages=languages)
    return load_tokenization(request, read_hub_config(folder, request.task), folder)


PANIC = {
    "version": "1.0",
    "added_tokens": [],
    "normalizer": {
        "type": "Precompiled",
        "precompiled_charsmap": base64.b64encode(struct.pack("<I", 4) + b"\xff" * 4).decode(),
    },
    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]], "byte_fallback": False},
}


def test_a_tokenizer_that_makes_the_library_panic_is_named(tmp_path: Path) -> None:
    write(tmp_path, config={"model_type": "bart", "vocab_size": 10}, tokenizer=PANIC)
    with pytest.raises(ModelFileError, match=r"tokenizer\.json: cannot be used: PanicException: index out of bounds"):
        load(tmp_path)


@pytest.fixture
def m2m100(tmp_path: Path) -> Path:
    """Writes an M2M-100 vocabulary without the file that lists its languages."""
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(["um dois tres", "one two three"] * 20),
        model_prefix=str(tmp_path / "sentencepiece.bpe"),
        vocab_size=25,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(str(tmp_path / "sentencepiece.bpe.model"))
    pieces = [processor.IdToPiece(i) for i in range(processor.GetPieceSize())]
    names = ["<s>", "<pad>", "</s>", "<unk>", *(piece for piece in pieces if piece not in ("<s>", "</s>", "<unk>"))]
    write(
        tmp_path,
        config={"model_type": "m2m_100", "vocab_size": len(names) + 3, "eos_token_id": 2},
        vocab={name: index for index, name in enumerate(names)},
    )
    return tmp_path


LISTED = ["__en__", "__pt__"]


@pytest.mark.parametrize(
    "files",
    [
        {"special_tokens_map": {"additional_special_tokens": LISTED}},
        {"tokenizer_config": {"extra_special_tokens": LISTED}},  # as saved by transformers 5
        {"tokenizer_config": {"additional_special_tokens": LISTED}},
        {"special_tokens_map": {}, "tokenizer_config": {"extra_special_tokens": LISTED}},
    ],
)
def test_the_languages_of_m2m100_are_read_from_any_file_that_lists_them(m2m100: Path, files: dict[str, Any]) -> None:
    write(m2m100, **files)
    tokens = load(m2m100, en="en", pt="pt")
    size = len(json.loads((m2m100 / "vocab.json").read_text()))
    assert tokens.encode(["one"], LanguagePair("en", "pt"))[0].ids[0] == size
    assert tokens.decoder_prefix("pt") == (size + 1,)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, r"special_tokens_map\.json: is missing, and tokenizer_config\.json lists no language tokens"),
        (
            {"special_tokens_map": {"additional_special_tokens": 5}},
            r"special_tokens_map\.json: .*is not a list of tokens",
        ),
        ({"tokenizer_config": {"extra_special_tokens": [1]}}, r"tokenizer_config\.json: .*is not a list of tokens"),
        ({"tokenizer_config": {"extra_special_tokens": ["__en__"]}}, r"tokenizer_config\.json: has no token __pt__"),
        ({"vocab": {"<s>": 0, "<unk>": 1}}, r"vocab\.json: has no </s>"),
        ({"vocab": {"<s>": 0, "</s>": 1}}, r"vocab\.json: has no <unk>"),
    ],
)
def test_an_incomplete_m2m100_is_refused_by_file(m2m100: Path, files: dict[str, Any], problem: str) -> None:
    write(m2m100, **files)
    with pytest.raises(ModelFileError, match=problem):
        load(m2m100, en="en", pt="pt")


def test_the_target_language_overrides_a_forced_first_token(m2m100: Path) -> None:
    write(
        m2m100, special_tokens_map={"additional_special_tokens": LISTED}, generation_config={"forced_bos_token_id": 5}
    )
    config = read_hub_config(m2m100, "translation")
    for languages, target, first in (({"en": "en", "pt": "pt"}, "pt", None), ({}, "", 5)):
        request = LoadRequest("m", "auto", "translation", m2m100, languages=languages)
        tokens = load_tokenization(request, config, m2m100)
        generator = HubGenerator(tokens, config, request, max_batch_rows=1, max_batch_tokens=1)
        expected = tokens.decoder_prefix(target) if first is None else (first,)
        assert generator._begin_output(target) == expected
        assert len(expected) == 1


def test_tokens_that_are_no_strings_are_ignored(m2m100: Path) -> None:
    write(m2m100, special_tokens_map={"additional_special_tokens": LISTED})
    tokens = load(m2m100, en="en", pt="pt")
    ids = tokens.encode(["one"], LanguagePair("en", "pt"))[0].ids
    assert tokens.decode([ids, (0, 1, 2, 3)]) == ["one", ""]
    assert tokens.decode_spans((2, *ids))[0] == "one"
