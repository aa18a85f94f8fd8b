"""Text to token ids and back, for checkpoints in the hub's layout. No state is shared between calls.

transformers' own tokenizers switch state in place and read users' text as commands (`>>fr<<`, `</s>`); these
call the libraries beneath, SentencePiece and tokenizers, which do neither. Knows nothing of networks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import sentencepiece
from tokenizers import Tokenizer

from latimer_server.backends.huggingface.config import HubConfig, read_json
from latimer_server.backends.huggingface.fast_tokens import FastTokens
from latimer_server.backends.huggingface.prompt import render_prompt
from latimer_server.backends.load_errors import naming_file
from latimer_server.backends.protocol import Encoding, LoadRequest
from latimer_server.backends.token_spans import Span, find_unknown_pieces, locate_pieces, place_pieces
from latimer_server.core.decoding import LanguagePair, TokenIds
from latimer_server.core.errors import ModelFileError

_MARKS = {"marian": ">>{}<<", "m2m_100": "__{}__"}
_SAMPLE = "a"
# Where M2M-100 lists its language tokens: as published, and as transformers 5 and 4 save it.
_LISTED = (
    ("special_tokens_map.json", "additional_special_tokens"),
    ("tokenizer_config.json", "extra_special_tokens"),
    ("tokenizer_config.json", "additional_special_tokens"),
)


class Tokenization(Protocol):
    """Text to ids and back. `added_tokens`: what it puts around each text. Thread-safe."""

    added_tokens: int

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """Ids of each text with what the model wants around them."""
        ...

    def token_starts(self, text: str) -> list[int]:
        """Where each token of the bare text starts, in code points."""
        ...

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """The text of each row; special tokens say nothing."""
        ...

    def token_spans(self, text: str) -> list[Span]:
        """See `GeneratorBackend.token_spans`."""
        ...

    def find_unknown(self, text: str) -> list[Span]:
        """See `GeneratorBackend.find_unknown`."""
        ...

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[Span]]:
        """See `GeneratorBackend.decode_spans`."""
        ...

    def decoder_prefix(self, target: str) -> TokenIds:
        """What the output must begin with to be in the language `target`."""
        ...

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The names of ids."""
        ...

    def ids(self, tokens: Sequence[str]) -> TokenIds:
        """The ids of names."""
        ...


class SentencePieceTokens:
    """Marian's and M2M-100's: SentencePiece for the division, `vocab.json` for the ids."""

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
        # Those that say something. Found once: asked of every token that is read, it was a third of reading.
        self._pieces = {index: piece for piece, index in self._target_vocabulary.items() if _says(piece)}
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

    def find_unknown(self, text: str) -> list[Span]:
        """See `Tokenization.find_unknown`."""
        known = self._source_vocabulary
        return find_unknown_pieces(
            self._source, text, lambda name, _: known.get(name, self._unknown_id) == self._unknown_id
        )

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[Span]]:
        """See `Tokenization.decode_spans`."""
        text, said = place_pieces(self._target, [self._pieces[i] for i in ids if i in self._pieces])
        spans: list[Span] = []
        at = 0
        for i in ids:
            if i in self._pieces:
                spans.append(said[at])
                at += 1
            elif 0 < at < len(said) and said[at][0] < said[at - 1][1]:
                spans.append(said[at - 1])  # among the bytes of a character
            else:
                end = said[at - 1][1] if at else 0
                spans.append((end, end))
        return text, spans

    def decoder_prefix(self, target: str) -> TokenIds:
        """See `Tokenization.decoder_prefix`."""
        return () if self._target_goes_first or not self._target_ids else (self._target_ids[target],)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """See `Tokenization.tokens`; of the source."""
        return [self._named[i] for i in ids]

    def ids(self, tokens: Sequence[str]) -> TokenIds:
        """See `Tokenization.ids`; of the target."""
        return tuple(self._target_vocabulary.get(token, self._unknown_id) for token in tokens)


def _says(piece: str) -> bool:
    if piece in ("", "</s>", "<pad>", "<s>", "<unk>"):
        return False
    return piece[:2] not in (">>", "__") or not re.fullmatch(r">>.+<<|__\w+__", piece)


def load_tokenization(request: LoadRequest, config: HubConfig, folder: Path) -> Tokenization:
    """The tokenization of the checkpoint in `folder`. Raises `ModelFileError` naming the file at fault."""
    if config.model_type == "marian":
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
    named = {code: _MARKS["marian"].format(token) for code, token in request.languages.items()}
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
    # Its language tokens stand behind the vocabulary, in this order; transformers keeps the list in its code.
    ids = dict(vocabulary) | {token: len(vocabulary) + index for index, token in enumerate(listed)}
    named = {code: _MARKS["m2m_100"].format(token) for code, token in request.languages.items()}
    found = _find_languages(named, ids, file)
    processor = _read_pieces(folder / "sentencepiece.bpe.model")
    return SentencePieceTokens(
        (processor, processor), (ids, ids), ids["<unk>"], ids["</s>"], found, found, target_goes_first=False
    )


def _list_language_tokens(folder: Path) -> tuple[str, list[str]]:
    """The file that lists an M2M-100's language tokens, and these: transformers 5 writes no map of special tokens."""
    for name, key in _LISTED:
        listed = read_json(folder / name).get(key) if (folder / name).is_file() else None
        if not listed:
            continue
        if not isinstance(listed, list) or not all(isinstance(token, str) for token in listed):
            raise ModelFileError(name, f"{key} is no list of tokens")
        return name, listed
    raise ModelFileError("special_tokens_map.json", "is missing, and tokenizer_config.json lists no language tokens")


def _load_fast(request: LoadRequest, config: HubConfig, folder: Path) -> FastTokens:
    path = folder / "tokenizer.json"
    try:
        # Read twice: in the one special tokens are found, in the other, which reads texts, they are not.
        template, tokenizer = Tokenizer.from_file(str(path)), Tokenizer.from_file(str(path))
    except Exception as error:
        raise ModelFileError("tokenizer.json", "is no tokenizer" if path.is_file() else "is missing") from error
    if tokenizer.get_vocab_size(with_added_tokens=False) > config.vocabulary_size:
        size = tokenizer.get_vocab_size(with_added_tokens=False)
        raise ModelFileError("tokenizer.json", f"has {size} tokens, the model {config.vocabulary_size}")
    if request.languages:
        vocabulary = template.get_vocab()
        found = _find_languages(request.languages, vocabulary, "tokenizer.json")
        end = _find_languages({"": "</s>"}, vocabulary, "tokenizer.json")[""]
        if config.tokenizer_class.startswith("MBartTokenizer"):
            raise ModelFileError("config.json", "is an mBART-25, whose language tokens stand elsewhere; not supported")
        marks = {code: (token,) for code, token in found.items()}
        return FastTokens(tokenizer, marks, (end,), marks)
    before, after = render_prompt(request, config, folder)
    if config.causal:
        ids = [tuple(template.encode(text, add_special_tokens=False).ids) for text in (before, after)]
        return FastTokens(tokenizer, {"": ids[0]}, ids[1], {})
    return _surround(tokenizer, template, before, after)


def _surround(tokenizer: Tokenizer, template: Tokenizer, before: str, after: str) -> FastTokens:
    """What the tokenizer's own template puts around a text, and the prompt before and behind the text."""
    bare = template.encode(_SAMPLE, add_special_tokens=False).ids
    whole = template.encode(_SAMPLE).ids
    start = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), None)
    if start is None:
        raise ModelFileError("tokenizer.json", "reads a text otherwise where it puts its special tokens around it")
    told = [template.encode(text, add_special_tokens=False).ids if text else [] for text in (before, after)]
    return FastTokens(tokenizer, {"": (*whole[:start], *told[0])}, (*told[1], *whole[start + len(bare) :]), {})


def _find_languages(named: Mapping[str, str], vocabulary: Mapping[str, int], file: str) -> dict[str, int]:
    """The id of each language's token. One that the vocabulary lacks would become <unk> without a word."""
    missing = [token for token in named.values() if token not in vocabulary]
    if missing:
        raise ModelFileError(file, f"has no token {missing[0]}")
    return {code: vocabulary[token] for code, token in named.items()}


def _read_vocabulary(path: Path, size: int | None) -> dict[str, int]:
    vocabulary = read_json(path)
    if not all(isinstance(index, int) for index in vocabulary.values()):
        raise ModelFileError(path.name, "maps a token to what is no number")
    if size is not None and (len(vocabulary) > size or max(vocabulary.values(), default=0) >= size):
        raise ModelFileError(path.name, f"has {len(vocabulary)} tokens, the model {size}: they do not belong together")
    return vocabulary


def _read_pieces(path: Path) -> sentencepiece.SentencePieceProcessor:
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(path.read_bytes())
    except (RuntimeError, OSError) as error:
        problem = "is no SentencePiece model" if path.is_file() else "is missing"
        raise ModelFileError(path.name, problem) from error
    return processor
