"""Converts text to token ids and back with the tokenizers library, for checkpoints with a `tokenizer.json`.

Implements `Tokenization`. Calls share no state. Reads no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from latimer_server.backends.protocol import Encoding
from latimer_server.backends.token_spans import Span, place_tokens, trim_span
from latimer_server.core.decoding import LanguagePair, TokenIds

# The symbol for a space in vocabularies that were made with SentencePiece.
_SPACE = "\u2581"


class FastTokens:
    """The `Tokenization` of a checkpoint's `tokenizer.json`. Text that looks like a special token is ordinary text.

    `before` maps a source language, or "" for all, to the ids before a text; `after` are the ids behind it.
    `targets` maps a target language to the first ids of an output.
    """

    def __init__(
        self, tokenizer: Tokenizer, before: Mapping[str, TokenIds], after: TokenIds, targets: Mapping[str, TokenIds]
    ) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._before = before
        self._after = after
        self._targets = targets
        unknown = getattr(tokenizer.model, "unk_token", None) or "<unk>"
        self._unknown_id = tokenizer.token_to_id(unknown)
        added = tokenizer.get_added_tokens_decoder()
        self._special = {index for index, token in added.items() if token.special} - {self._unknown_id}
        self.added_tokens = max(map(len, before.values()), default=0) + len(after)

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """See `Tokenization.encode`."""
        before = self._before[languages.source if len(self._before) > 1 else next(iter(self._before))]
        encodings = []
        for text, row in zip(texts, self._tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True):
            ids = row.ids if self._special.isdisjoint(row.ids) else [i for i, _, _ in self._tokenize(text)]
            unknown = ids.count(self._unknown_id) if self._unknown_id is not None else 0
            encodings.append(Encoding((*before, *ids, *self._after), unknown))
        return encodings

    def token_starts(self, text: str) -> list[int]:
        """See `Tokenization.token_starts`."""
        return [start for _, start, _ in self._tokenize(text)]

    def token_spans(self, text: str) -> list[Span]:
        """See `Tokenization.token_spans`."""
        spans: list[Span] = []
        last = 0
        for index, start, end in self._tokenize(text):
            # The library gives the space that it adds before a text the span of the text's first character.
            added = self._tokenizer.id_to_token(index) == _SPACE and start >= last and not text[start:end].isspace()
            spans.append((start, start) if added else trim_span(text, start, end))
            last = max(last, spans[-1][1])
        return spans

    def _tokenize(self, text: str) -> list[tuple[int, int, int]]:
        """Returns the id, start and end of each token of a text.

        A vocabulary may have </s> as an ordinary piece, and the library then finds this token in a text. The text of
        such a token is tokenized again, its first character apart from the rest, until the token no longer occurs.
        """
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        tokens = []
        for index, (start, end) in zip(encoded.ids, encoded.offsets, strict=True):
            if index in self._special and end - start > 1:
                middle = start + 1
                for first, last in ((start, middle), (middle, end)):
                    tokens += [(i, first + at, first + to) for i, at, to in self._tokenize(text[first:last])]
            else:
                tokens.append((index, start, end))
        return tokens

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """See `Tokenization.decode`."""
        return [text.strip() for text in self._tokenizer.decode_batch([list(row) for row in ids])]

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[Span]]:
        """See `Tokenization.decode_spans`."""
        text, spans = place_tokens(lambda some: str(self._tokenizer.decode(list(some))), ids)
        stripped = text.strip()
        left, length = len(text) - len(text.lstrip()), len(stripped)
        return stripped, [(max(0, min(at - left, length)), max(0, min(to - left, length))) for at, to in spans]

    def decoder_prefix(self, target: str) -> TokenIds:
        """See `Tokenization.decoder_prefix`."""
        return self._targets[target] if self._targets else ()

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """See `Tokenization.tokens`."""
        return [str(self._tokenizer.id_to_token(i)) for i in ids]

    def ids(self, tokens: Sequence[str]) -> TokenIds:
        """See `Tokenization.ids`. A name that the vocabulary lacks has the id -1."""
        ids = [self._tokenizer.token_to_id(token) for token in tokens]
        return tuple(-1 if index is None else index for index in ids)
