"""Converts text to token ids and back, for checkpoints in the hub's layout. Calls share no state.

transformers' own tokenizers change their state in place and treat text of users as commands (`>>fr<<`, `</s>`).
These classes call the libraries below them, SentencePiece and tokenizers, which do neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import sentencepiece
from tokenizers import Tokenizer

from latimer_server.backends.huggingface.config import HubConfig, read_json
from latimer_server.backends.huggingface.families import FAMILIES
from latimer_server.backends.huggingface.fast_tokens import FastTokens
from latimer_server.backends.huggingface.prompt import render_prompt
from latimer_server.backends.load_errors import naming_file
from latimer_server.backends.protocol import Encoding, LoadRequest
from latimer_server.backends.token_spans import Span, locate_pieces, place_pieces
from latimer_server.core.decoding import LanguagePair, TokenIds
from latimer_server.core.errors import ModelFileError

# A text that every tokenizer can encode. Its ids with and without special tokens show where a tokenizer adds them.
_SAMPLE = "a"
# The files and keys that list the language tokens of M2M-100: as published, and as transformers 5 and 4 save it.
_LANGUAGE_TOKEN_LISTS = (
    ("special_tokens_map.json", "additional_special_tokens"),
    ("tokenizer_config.json", "extra_special_tokens"),
    ("tokenizer_config.json", "additional_special_tokens"),
)


class Tokenization(Protocol):
    """Converts text to token ids and back. Thread-safe.

    `added_tokens` is the maximum number of ids that `encode` adds to those of a text: special tokens and the prompt.
    """

    added_tokens: int

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """Returns one `Encoding` for each text: its ids with the special tokens and the prompt that the model needs."""
        ...

    def token_starts(self, text: str) -> list[int]:
        """Returns the start of each token of the text in code points, without special tokens."""
        ...

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """Returns the text of each row of ids. Special tokens have no text."""
        ...

    def token_spans(self, text: str) -> list[Span]:
        """See `GeneratorBackend.token_spans`."""
        ...

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[Span]]:
        """See `GeneratorBackend.decode_spans`."""
        ...

    def decoder_prefix(self, target: str) -> TokenIds:
        """Returns the ids that an output in the language `target` must begin with; () if this language needs none."""
        ...

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Returns the name of each id in the vocabulary, which is what CTranslate2 takes."""
        ...

    def ids(self, tokens: Sequence[str]) -> TokenIds:
        """Returns the id of each name in the vocabulary, from an output of CTranslate2."""
        ...


class SentencePieceTokens:
    """The `Tokenization` of Marian and M2M-100: SentencePiece divides the text, and `vocab.json` has the ids.

    `processors` and `vocabularies` are those of the source and of the target. `source_ids` and `target_ids` map
    languages to their tokens. With `target_goes_first` the target language's token stands before the source text
    (Marian). Otherwise the source language's does, and outputs begin with the target language's (M2M-100).
    """

    def __init__(
        self,
        processors: tuple[sentencepiece.SentencePieceProcessor, sentencepiece.SentencePieceProcessor],
        vocabularies: tuple[Mapping[str, int], Mapping[str, int]],
        unknown_id: int,
        end_id: int,
        source_ids: Mapping[str, int],
        target_ids: Mapping[str, int],
        *,
        target_goes_first: bool,
    ) -> None:
        self._source, self._target = processors
        self._source_vocabulary, self._target_vocabulary = vocabularies
        # The target pieces that have text. Computed once: a test of each token took a third of the time of decoding.
        self._pieces = {index: piece for piece, index in self._target_vocabulary.items() if _has_text(piece)}
        self._unknown_id = unknown_id
        self._end_id = end_id
        self._source_ids = source_ids
        self._target_ids = target_ids
        self._target_goes_first = target_goes_first
        self._named = {index: token for token, index in self._source_vocabulary.items()}
        self.added_tokens = 2 if source_ids or target_ids else 1

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """See `Tokenization.encode`."""
        before: TokenIds = ()
        if self._target_goes_first and self._target_ids:
            before = (self._target_ids[languages.target],)
        elif self._source_ids:
            before = (self._source_ids[languages.source],)
        rows: list[list[str]] = self._source.encode(list(texts), out_type=str)
        encodings = []
        for pieces in rows:
            ids = [self._source_vocabulary.get(piece, self._unknown_id) for piece in pieces]
            encodings.append(Encoding((*before, *ids, self._end_id), ids.count(self._unknown_id)))
        return encodings

    def token_starts(self, text: str) -> list[int]:
        """See `Tokenization.token_starts`."""
        mapping = self._source.encode(text, return_type="offset_mapping")
        return [start for start, _ in mapping["offsets"]]

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """See `Tokenization.decode`."""
        pieces = self._pieces
        return [self._target.decode_pieces([pieces[i] for i in row if i in pieces]) for row in ids]

    def token_spans(self, text: str) -> list[Span]:
        """See `Tokenization.token_spans`."""
        return locate_pieces(self._source, text)

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[Span]]:
        """See `Tokenization.decode_spans`."""
        text, piece_spans = place_pieces(self._target, [self._pieces[i] for i in ids if i in self._pieces])
        spans: list[Span] = []
        at = 0
        for i in ids:
            if i in self._pieces:
                spans.append(piece_spans[at])
                at += 1
            elif 0 < at < len(piece_spans) and piece_spans[at][0] < piece_spans[at - 1][1]:
                spans.append(piece_spans[at - 1])  # an id without text among the byte pieces of a character
            else:
                end = piece_spans[at - 1][1] if at else 0
                spans.append((end, end))
        return text, spans

    def decoder_prefix(self, target: str) -> TokenIds:
        """See `Tokenization.decoder_prefix`."""
        return () if self._target_goes_first or not self._target_ids else (self._target_ids[target],)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """See `Tokenization.tokens`. Uses the source vocabulary."""
        return [self._named[i] for i in ids]

    def ids(self, tokens: Sequence[str]) -> TokenIds:
        """See `Tokenization.ids`. Uses the target vocabulary."""
        return tuple(self._target_vocabulary.get(token, self._unknown_id) for token in tokens)


def _has_text(piece: str) -> bool:
    """True unless the piece is empty, a special token or a language token."""
    if piece in ("", "</s>", "<pad>", "<s>", "<unk>"):
        return False
    return piece[:2] not in (">>", "__") or not re.fullmatch(r">>.+<<|__\w+__", piece)


def load_tokenization(request: LoadRequest, config: HubConfig, folder: Path) -> Tokenization:
    """Loads the tokenization of the checkpoint in `folder`. Raises `ModelFileError` naming a bad file."""
    if config.family.marian_files:
        with naming_file("vocab.json"):
            return _load_marian(request, config, folder)
    if (folder / "vocab.json").is_file() and (folder / "sentencepiece.bpe.model").is_file():
        with naming_file("vocab.json"):
            return _load_m2m100(request, folder)
    with naming_file("tokenizer.json"):
        return _load_fast(request, config, folder)


def _load_marian(request: LoadRequest, config: HubConfig, folder: Path) -> SentencePieceTokens:
    source = _read_vocabulary(folder / "vocab.json", config.vocabulary_size)
    target = source
    if config.separate_vocabularies:
        target = _read_vocabulary(folder / "target_vocab.json", config.target_vocabulary_size)
    for name in ("</s>", "<unk>"):
        if name not in source or name not in target:
            raise ModelFileError("vocab.json", f"has no {name}")
    named = {code: config.family.language_mark.format(token) for code, token in request.languages.items()}
    return SentencePieceTokens(
        (_read_pieces(folder / "source.spm"), _read_pieces(folder / "target.spm")),
        (source, target),
        source["<unk>"],
        source["</s>"],
        {},
        _find_languages(named, source, "vocab.json"),
        target_goes_first=True,
    )


def _load_m2m100(request: LoadRequest, folder: Path) -> SentencePieceTokens:
    vocabulary = _read_vocabulary(folder / "vocab.json", None)
    for name in ("</s>", "<unk>"):
        if name not in vocabulary:
            raise ModelFileError("vocab.json", f"has no {name}")
    file, listed = _list_language_tokens(folder)
    # The ids of the language tokens follow those of the vocabulary, in the order of this list. transformers has the
    # list in its code.
    ids = dict(vocabulary) | {token: len(vocabulary) + index for index, token in enumerate(listed)}
    mark = FAMILIES["m2m_100"].language_mark
    named = {code: mark.format(token) for code, token in request.languages.items()}
    found = _find_languages(named, ids, file)
    processor = _read_pieces(folder / "sentencepiece.bpe.model")
    return SentencePieceTokens(
        (processor, processor), (ids, ids), ids["<unk>"], ids["</s>"], found, found, target_goes_first=False
    )


def _list_language_tokens(folder: Path) -> tuple[str, list[str]]:
    """Returns the name of the file that lists the language tokens of an M2M-100, and the tokens.

    Searches two files, because transformers 5 writes no `special_tokens_map.json`.
    """
    for name, key in _LANGUAGE_TOKEN_LISTS:
        listed = read_json(folder / name).get(key) if (folder / name).is_file() else None
        if not listed:
            continue
        if not isinstance(listed, list) or not all(isinstance(token, str) for token in listed):
            raise ModelFileError(name, f"{key} is not a list of tokens")
        return name, listed
    raise ModelFileError("special_tokens_map.json", "is missing, and tokenizer_config.json lists no language tokens")


def _load_fast(request: LoadRequest, config: HubConfig, folder: Path) -> FastTokens:
    path = folder / "tokenizer.json"
    try:
        # Loaded twice: `template` recognises special tokens in a text, `tokenizer` does not.
        template, tokenizer = Tokenizer.from_file(str(path)), Tokenizer.from_file(str(path))
    except Exception as error:
        problem = "is not a tokenizer" if path.is_file() else "is missing"
        raise ModelFileError("tokenizer.json", problem) from error
    if tokenizer.get_vocab_size(with_added_tokens=False) > config.vocabulary_size:
        size = tokenizer.get_vocab_size(with_added_tokens=False)
        raise ModelFileError("tokenizer.json", f"has {size} tokens, the model {config.vocabulary_size}")
    if request.languages:
        vocabulary = template.get_vocab()
        found = _find_languages(request.languages, vocabulary, "tokenizer.json")
        end = _find_languages({"": "</s>"}, vocabulary, "tokenizer.json")[""]
        if config.tokenizer_class.startswith("MBartTokenizer"):  # it puts its language tokens elsewhere
            raise ModelFileError(
                "config.json", "describes an mBART-25, which is not supported; use an mBART-50 checkpoint"
            )
        marks = {code: (token,) for code, token in found.items()}
        return FastTokens(tokenizer, marks, (end,), marks)
    before, after = render_prompt(request, config, folder)
    if config.causal:
        ids = [tuple(template.encode(text, add_special_tokens=False).ids) for text in (before, after)]
        return FastTokens(tokenizer, {"": ids[0]}, ids[1], {})
    return _surround(tokenizer, template, before, after)


def _surround(tokenizer: Tokenizer, template: Tokenizer, before: str, after: str) -> FastTokens:
    """Returns a `FastTokens` that puts the tokenizer's special tokens around a text, and the prompt inside these."""
    bare = template.encode(_SAMPLE, add_special_tokens=False).ids
    whole = template.encode(_SAMPLE).ids
    start = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), None)
    if start is None:
        raise ModelFileError("tokenizer.json", "changes the tokens of a text when it adds special tokens")
    prompt = [template.encode(text, add_special_tokens=False).ids if text else [] for text in (before, after)]
    return FastTokens(tokenizer, {"": (*whole[:start], *prompt[0])}, (*prompt[1], *whole[start + len(bare) :]), {})


def _find_languages(named: Mapping[str, str], vocabulary: Mapping[str, int], file: str) -> dict[str, int]:
    """Returns the id of each language's token. Raises `ModelFileError` for a token that would silently be <unk>."""
    missing = [token for token in named.values() if token not in vocabulary]
    if missing:
        raise ModelFileError(file, f"has no token {missing[0]}")
    return {code: vocabulary[token] for code, token in named.items()}


def _read_vocabulary(path: Path, size: int | None) -> dict[str, int]:
    """Returns the id of each token in a `vocab.json`. Raises `ModelFileError` if `size` is too small for the ids."""
    content = read_json(path)
    vocabulary = {token: index for token, index in content.items() if isinstance(index, int)}
    if len(vocabulary) < len(content):
        raise ModelFileError(path.name, "maps a token to a value that is not a number")
    if size is not None and (len(vocabulary) > size or max(vocabulary.values(), default=0) >= size):
        raise ModelFileError(path.name, f"has {len(vocabulary)} tokens, the model {size}: they do not belong together")
    return vocabulary


def _read_pieces(path: Path) -> sentencepiece.SentencePieceProcessor:
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(path.read_bytes())
    except (RuntimeError, OSError) as error:
        problem = "is not a SentencePiece model" if path.is_file() else "is missing"
        raise ModelFileError(path.name, problem) from error
    return processor
