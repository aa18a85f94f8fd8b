"""Tests of token spans: exact and ascending for any text, including unknown characters."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Protocol

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from latimer_server.backends.huggingface.fast_tokens import FastTokens
from latimer_server.backends.huggingface.tokenization import SentencePieceTokens
from latimer_server.backends.token_spans import Span, place_tokens, trim_span
from latimer_server.core.decoding import LanguagePair
from tests.marian_students import DATA

# Characters that a normalizer decomposes, composes, drops or reads as a space, and characters outside the vocabulary.
_PARTS = st.sampled_from(
    ["the", "house", "casa", "não", " ", "  ", "\u00a0", "\u200b", "\u200d", "\ufeff", "\n", "\t", "\u3000",
     "\u2581", ".", ",", "a", "e\u0301", "e\u0301\u0323", "\u0301", "½", "ﬁ", "oﬃce", "①", "㈱", "ﷺ", "¨", "´",
     "…", "Ａｂ", "İ", "ŉ", "한국", "\u1112\u1161\u11ab", "世界", "नमस्ते", "😀", "👨\u200d👩\u200d👧", "🇧🇷",
     "→", "{", "}", "<", "\x00", "\x01", "\x7f", "\x1f", "\u00ad", "\ufffd", "\ufffc", "</s>", "<unk>", "<0xE2>",
     "__x__"]
)  # fmt: skip
_TEXTS = st.one_of(st.text(max_size=40), st.lists(_PARTS, max_size=20).map("".join))
_ANY = LanguagePair()
# Special token ids of all SentencePiece vocabularies in these tests.
_SIZE = 400


class Tokens(Protocol):
    """The tested interface of a tokenization."""

    def token_starts(self, text: str) -> list[int]: ...
    def token_spans(self, text: str) -> list[Span]: ...
    def decode_spans(self, ids: tuple[int, ...]) -> tuple[str, list[Span]]: ...
    def decode(self, ids: Sequence[tuple[int, ...]]) -> list[str]: ...


@cache
def train(kind: str, *, fallback: bool) -> sentencepiece.SentencePieceProcessor:
    lines = [line for code in ("en", "pt") for line in (DATA / f"everyday.{code}.txt").read_text("utf-8").splitlines()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type=kind,
        vocab_size=_SIZE,
        eos_id=0,
        unk_id=1,
        bos_id=-1,
        byte_fallback=fallback,
        user_defined_symbols=["__x__"],
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


@cache
def pieces(kind: str) -> SentencePieceTokens:
    """Returns SentencePiece with separate vocabulary ids, as in OPUS-MT; some tokens have no id."""
    processor = train(kind.removesuffix("-bytes"), fallback=kind.endswith("-bytes"))
    names = [processor.IdToPiece(i) for i in range(processor.GetPieceSize())]
    gone = {name for name in names[60:] if len(name) > 3 and not name.startswith("<0x")}
    ids = {name: index for index, name in enumerate(reversed([name for name in names if name not in gone]))}
    ids["<unk>"], ids["</s>"], ids[">>pt<<"] = 1_000, 1_001, 1_002
    return SentencePieceTokens((processor, processor), (ids, ids), 1_000, 1_001, {}, {}, target_goes_first=True)


@cache
def fast(kind: str) -> FastTokens:
    """Returns a tokenizer of the kinds that the hub's families use."""
    words = ["the", "house", "casa", "a", "e", "s", ".", ",", "in", "not"]
    letters = [chr(c) for c in range(ord("b"), ord("z"))]
    if kind == "unigram":
        names = ["<unk>", "</s>", "\u2581", *[f"\u2581{word}" for word in words], *words, *letters]
        tokenizer = Tokenizer(models.Unigram([(name, -float(i)) for i, name in enumerate(names)], 0, False))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.normalizer = normalizers.NFKC()
    elif kind == "bytes":
        symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {name: index for index, name in enumerate(["</s>", *symbols, "th", "the", "Ġthe", "Ġt", "Ġth"])}
        merges = [("t", "h"), ("th", "e"), ("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e")]
        tokenizer = Tokenizer(models.BPE(vocabulary, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    elif kind == "fallback":
        # Like the first tokenizers of Llama.
        names = [
            "<unk>",
            "</s>",
            *[f"<0x{byte:02X}>" for byte in range(256)],
            "\u2581",
            "t",
            "h",
            "e",
            "a",
            "th",
            "the",
        ]
        vocabulary = {name: index for index, name in enumerate(names)}
        tokenizer = Tokenizer(
            models.BPE(vocabulary, [("t", "h"), ("th", "e")], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
        )
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
    else:
        names = ["<unk>", "</s>", *words, *letters, *[f"##{name}" for name in [*words, *letters]], "'", "!", "n't"]
        tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(cleanup=True)
    tokenizer.add_special_tokens([AddedToken("</s>", special=True)])
    end = tokenizer.token_to_id("</s>")
    assert end is not None
    return FastTokens(tokenizer, {"": ()}, (end,), {})


_PIECES = ["unigram", "unigram-bytes", "bpe", "bpe-bytes"]
_FAST = ["unigram", "bytes", "fallback", "words"]
_ALL = [*[(pieces, kind) for kind in _PIECES], *[(fast, kind) for kind in _FAST]]
_everywhere = pytest.mark.parametrize(("make", "kind"), _ALL, ids=lambda value: getattr(value, "__name__", value))


def assert_spans_ascend(spans: Sequence[Span], text: str) -> None:
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert [end for _, end in spans] == sorted(end for _, end in spans)
    # U+0085 is white space in Python, but an ordinary character in SentencePiece.
    cut = [text[start:end].replace("\x85", "x") for start, end in spans]
    assert all(part == part.strip() for part in cut)


def covered(spans: Sequence[Span]) -> set[int]:
    return {at for span in spans for at in range(*span)}


@_everywhere
@given(text=_TEXTS)
def test_each_token_of_a_source_has_a_span(make: object, kind: str, text: str) -> None:
    tokens = make(kind)  # type: ignore[operator]
    spans = tokens.token_spans(text)
    (encoding,) = tokens.encode([text], _ANY)
    assert len(spans) == len(encoding.ids) - 1 == len(tokens.token_starts(text))
    assert_spans_ascend(spans, text)


@pytest.mark.parametrize("kind", _PIECES)
@given(text=_TEXTS)
def test_spans_cover_every_kept_character_and_have_no_dropped_ones_at_their_edges(kind: str, text: str) -> None:
    processor = train(kind.removesuffix("-bytes"), fallback=kind.endswith("-bytes"))
    kept = {at for at, character in enumerate(text) if processor.Normalize(character)}
    spans = pieces(kind).token_spans(text)
    assert kept <= covered(spans)
    assert {at for start, end in spans if start < end for at in (start, end - 1)} <= kept


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(words=st.lists(st.sampled_from(["a", "casa", " ", ".", "世", "界", "😀", "→", "{", "½", "\u00ad", "\x01"])))
def test_a_word_that_is_unknown_alone_is_unknown_in_a_text(kind: str, words: list[str]) -> None:
    text = "".join(words)
    processor = train(kind, fallback=False)
    alone = {at for at, c in enumerate(text) if processor.unk_id() in processor.encode(c)}
    tokens = SentencePieceTokens(
        (processor, processor),
        ({processor.IdToPiece(i): i for i in range(_SIZE)},) * 2,
        1,
        0,
        {},
        {},
        target_goes_first=True,
    )
    (encoding,) = tokens.encode([text], _ANY)
    kept = {at for at, character in enumerate(text) if processor.Normalize(character)}
    unknown = [span for i, span in zip(encoding.ids[:-1], tokens.token_spans(text), strict=True) if i == 1]
    assert covered(unknown) & kept == alone
    assert bool(encoding.unknown_tokens) == bool(alone)


@_everywhere
@given(data=st.data())
def test_the_text_of_decode_spans_is_that_of_decode(make: object, kind: str, data: st.DataObject) -> None:
    tokens: Tokens = make(kind)  # type: ignore[operator]
    text = data.draw(_TEXTS)
    (encoding,) = tokens.encode([text], _ANY)  # type: ignore[attr-defined]
    wild = st.lists(st.integers(0, len(_PIECES) * 10), max_size=12)
    for ids in (
        encoding.ids,
        encoding.ids[:-1],
        tuple(data.draw(wild)),
        tuple(data.draw(st.permutations(encoding.ids))),
    ):
        written, spans = tokens.decode_spans(ids)
        assert written == tokens.decode([ids])[0]
        assert len(spans) == len(ids)
        assert_spans_ascend(spans, written)
        visible = {at for at, character in enumerate(written) if not character.isspace()}
        assert visible <= covered(spans)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("½", {"½"}),
        ("a ½ a", {"a", "½"}),
        ("ﷺ", {"ﷺ"}),
        ("¨", {"¨"}),
        ("\x01a\x01 a\u200b", {"a"}),
        ("\u200ba\ufeffa", {"a"}),
    ],
)
@pytest.mark.parametrize("kind", _PIECES)
def test_all_tokens_of_a_character_have_its_span(kind: str, text: str, spans: set[str]) -> None:
    tokens = pieces(kind)
    assert {text[start:end] for start, end in tokens.token_spans(text)} - {""} == spans


def test_byte_tokens_of_an_output_character_have_its_span() -> None:
    tokens = pieces("unigram-bytes")
    ids = tokens.encode(["a€😀"], _ANY)[0].ids
    text, spans = tokens.decode_spans(ids)
    assert text == "a€😀"
    assert [text[start:end] for start, end in spans] == ["a", *["€"] * 3, *["😀"] * 4, ""]
    tokens_of_others = fast("bytes")
    ids = tokens_of_others.encode(["the € the"], _ANY)[0].ids
    text, spans = tokens_of_others.decode_spans(ids)
    assert [text[start:end] for start, end in spans] == ["the", "", *["€"] * 3, "", "the", ""]


def test_the_span_of_a_word_excludes_the_space_before_it() -> None:
    for tokens in (pieces("unigram"), fast("unigram"), fast("bytes")):
        ids = tokens.encode(["the  the"], _ANY)[0].ids
        text, spans = tokens.decode_spans(ids)
        assert {text[start:end] for start, end in spans} == {"the", ""}
        assert {"the  the"[start:end] for start, end in tokens.token_spans("the  the")} <= {"the", ""}


def test_the_dummy_space_before_a_text_has_an_empty_span() -> None:
    assert pieces("unigram").token_spans("世 世") == [(0, 0), (0, 1), (2, 2), (2, 3)]
    assert fast("unigram").token_spans("世 世") == [(0, 0), (0, 1), (2, 2), (2, 3)]
    assert pieces("unigram").token_spans("\u200b世") == [(1, 1), (1, 2)]


def test_special_tokens_have_an_empty_span_at_their_position() -> None:
    tokens = pieces("unigram")
    (a,) = tokens.encode(["a"], _ANY)[0].ids[:-1]
    assert tokens.decode_spans((1_002, a, 1_001, a, 1_001)) == ("a a", [(0, 0), (0, 1), (1, 1), (2, 3), (3, 3)])


def test_a_mark_that_removes_the_space_before_it_is_found() -> None:
    written = {(): "", (1,): "it", (1, 2): "it '", (1, 2, 3): "it's"}
    text, spans = place_tokens(lambda ids: written[tuple(ids)], [1, 2, 3])
    assert text == "it's"
    assert spans == [(0, 2), (2, 3), (2, 4)]


def test_spans_exclude_white_space_at_their_edges() -> None:
    assert trim_span("\t a b \u00a0", 0, 7) == (2, 5)
    assert trim_span("   ", 0, 2) == (2, 2)
