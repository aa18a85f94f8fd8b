"""Writes students of the shapes that Mozilla publishes, with random weights, real vocabularies and a shortlist.

Outputs follow their inputs token by token, end with them and depend on every layer. An engine that reads a file wrongly
therefore writes another output.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from tests.marian_files import CONFIG, INTGEMM8, Item, config_item, floats, write_model, write_shortlist

DATA = Path(__file__).parent / "data"
# Symbols that every vocabulary of Mozilla's has after </s> and <unk> (pipeline/train/spm-vocab.sh).
_SYMBOLS = [f"__{name}__" for name in ("source", "target", "done", "start", "end", "sep")]
_SYMBOLS += [f"__misc{number}__" for number in range(10)]
# Ids below this are in every shortlist: </s>, <unk> and some symbols, which are never the best.
_FREQUENT = 8
Integers = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]
# The first id of a word or of a part of a word. 256 ids before it stand for bytes.
_FIRST_WORD = 2 + len(_SYMBOLS) + 256
# The source position that each head attends to, relative to the position of the step.
_DISTANCES = (0, 1, 0, -1)
# The multiplier with which the reference engine quantizes activations. Their deviation is about 1; it clips them at 5.
ACTIVATIONS = 127 / 5
_NEVER = -10_000.0
# The relative deviation between the weights of a shaken model and of its twin.
_SHAKE = 0.06


@dataclass(frozen=True)
class StudentShape:
    """The sizes of mozilla/translations `pipeline/train/configs/model/student.*.yml`."""

    dimension: int
    decoder_depth: int
    ffn_dimension: int
    encoder_depth: int = 6
    heads: int = 8


TINY = StudentShape(256, 2, 1_536)
BASE_MEMORY = StudentShape(384, 4, 1_536)
BASE = StudentShape(512, 2, 2_048)


@dataclass(frozen=True)
class StudentFiles:
    """The bytes of a student's files. A shared vocabulary stands in both fields."""

    model: bytes
    source_vocabulary: bytes
    target_vocabulary: bytes
    shortlist: bytes | None

    def write(self, folder: Path) -> dict[str, Path]:
        """Writes the files and returns their paths by the names that the catalogue gives them."""
        contents = {"model": self.model}
        if self.source_vocabulary == self.target_vocabulary:
            contents["vocabulary"] = self.source_vocabulary
        else:
            contents["source_vocabulary"] = self.source_vocabulary
            contents["target_vocabulary"] = self.target_vocabulary
        if self.shortlist is not None:
            contents["shortlist"] = self.shortlist
        files = {name: folder / f"{name}.bin" for name in contents}
        for name, path in files.items():
            path.write_bytes(contents[name])
        return files


@cache
def train_vocabulary(languages: str, size: int) -> bytes:
    """Returns a SentencePiece model with Mozilla's settings, trained on the sentences in tests/data. `languages`: `en`,
    `pt` or `en+pt`."""
    lines = [
        line
        for language in languages.split("+")
        for kind in ("everyday", "handbook")
        for line in (DATA / f"{kind}.{language}.txt").read_text("utf-8").splitlines()
    ]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=size,
        bos_id=-1,
        eos_id=0,
        unk_id=1,
        user_defined_symbols=_SYMBOLS,
        byte_fallback=True,
        minloglevel=2,
    )
    return model.getvalue()


def make_student(shape: StudentShape, *, split: bool, shortlist: bool, seed: int = 1, shaken: int = 0) -> StudentFiles:
    """Returns a student with random weights. `split`: each side has its own vocabulary, of another size. `shaken`: a
    seed for small relative changes to all weights; 0 changes none."""
    if split:
        source, target = train_vocabulary("en", 720), train_vocabulary("pt", 800)
    else:
        source = target = train_vocabulary("en+pt", 1_000)
    sizes = [_size(source), _size(target)]
    draw = _Draw(shape, np.random.default_rng(seed), np.random.default_rng(shaken) if shaken else None)
    model = draw.items(sizes, _unwritten_ids(target), split=split)
    lists = write_shortlist(draw.lists(*sizes), first=_FREQUENT) if shortlist else None
    return StudentFiles(write_model(model), source, target, lists)


def _size(vocabulary: bytes) -> int:
    return int(_open(vocabulary).GetPieceSize())


def _open(vocabulary: bytes) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=vocabulary)


def _unwritten_ids(vocabulary: bytes) -> list[int]:
    """Returns the ids of <unk>, symbols and bytes. Decoders write those differently, so no output may contain them."""
    pieces = _open(vocabulary)
    return [
        i
        for i in range(1, pieces.GetPieceSize())
        if pieces.IsByte(i) or pieces.IsUnknown(i) or pieces.IdToPiece(i) in _SYMBOLS
    ]


class _Draw:
    """Draws the weights of a student, and for each matrix the multiplier that quantizes its input.

    A step attends, by the fast sinusoids, to the source token of its own position and to the neighbours. That token
    maps to a partner, which is the output: so an output is as long as its source. All other weights are noise, strong
    enough to change some of the output.
    """

    def __init__(self, shape: StudentShape, random: np.random.Generator, shaking: np.random.Generator | None) -> None:
        self._shape = shape
        self._random = random
        self._shaking = shaking
        self._items: dict[str, Item] = {}
        half, fast = shape.dimension // 2, shape.dimension // 8
        # The dimensions of the position, and those of the token.
        self._sines, self._cosines = np.arange(fast), half + np.arange(fast)
        self._token = np.concatenate([np.arange(fast, half), np.arange(half + fast, shape.dimension)])
        self._swapped = np.roll(self._token, len(self._token) // 2)

    def items(self, sizes: Sequence[int], unwritten: Sequence[int], *, split: bool) -> dict[str, Item]:
        shape, d = self._shape, self._shape.dimension
        self._draw_embeddings(*sizes, split=split)
        # Deep decoders add less in each layer, so that later layers do not drown the first ones.
        calm = 2 / shape.decoder_depth
        bias = self._random.normal(0, 0.02, sizes[1])
        bias[unwritten] = _NEVER
        self._items["decoder_ff_logit_out_b"] = floats(*bias)
        for layer in range(1, shape.encoder_depth + 1):
            self._attention(f"encoder_l{layer}_self", self._noise(d, d, 1.3), self._noise(d, d, 1.3), 0.08)
            self._feed_forward(f"encoder_l{layer}_ffn", 0.08)
        for layer in range(1, shape.decoder_depth + 1):
            cell = f"decoder_l{layer}_rnn"
            self._matrix(f"{cell}_W", self._noise(d, d, 0.3 * calm))
            self._matrix(f"{cell}_Wf", self._noise(d, d, 1.0))
            self._vector(f"{cell}_bf", d, 0.3)
            self._norm(f"{cell}_ffn_ln", quiet=self._token)
            self._attention(f"decoder_l{layer}_context", *self._position_attention(), 0.3 * calm, maps=True)
            self._feed_forward(f"decoder_l{layer}_ffn", 0.3 * calm)
        config = {
            **CONFIG,
            "enc-depth": shape.encoder_depth,
            "dec-depth": shape.decoder_depth,
            "dim-emb": d,
            "dim-vocabs": list(sizes),
            "transformer-heads": shape.heads,
            "transformer-dim-ffn": shape.ffn_dimension,
            "transformer-postprocess-emb": "d",
            "tied-embeddings-all": not split,
            "tied-embeddings": split,
            "tied-embeddings-src": False,
        }
        self._items["special:model.yml"] = config_item(config)
        return self._items

    def lists(self, source: int, target: int) -> list[list[int]]:
        """Returns the candidates of every source id: its partner and 20 random words. </s> has none."""
        ids = np.arange(_FIRST_WORD, target)
        others = [self._random.choice(ids, 20, replace=False).tolist() for _ in range(source)]
        return [[], *(sorted({self._partners[token], *others[token]}) for token in range(1, source))]

    def _draw_embeddings(self, source: int, target: int, *, split: bool) -> None:
        codes = self._random.normal(0, 1, (source, self._shape.dimension))
        codes[:, [*self._sines, *self._cosines]] = 0
        codes[0, self._swapped] = codes[0, self._token] = codes[0, self._token] + codes[0, self._swapped]
        codes[0] /= codes[0].std() / codes[1].std()
        swapped = codes.copy()
        swapped[:, self._swapped] = codes[:, self._token]
        if split:
            words = self._random.permutation(np.arange(_FIRST_WORD, target))[: source - _FIRST_WORD]
            self._partners = [*range(_FIRST_WORD), *words.tolist()]
            outputs = self._random.normal(0, 1, (target, self._shape.dimension))
            outputs[:, [*self._sines, *self._cosines]] = 0
            outputs[self._partners] = swapped
            self._embedding("encoder_Wemb", codes)
            self._embedding("decoder_Wemb", outputs)
            return
        pairs = self._random.permutation(np.arange(_FIRST_WORD, source - source % 2)).reshape(-1, 2)
        self._partners = list(range(source))
        for one, other in pairs.tolist():
            self._partners[one], self._partners[other] = other, one
            codes[other] = swapped[one]
        self._embedding("Wemb", codes)
        self._items["none_QuantMultA"] = floats(ACTIVATIONS)

    def _embedding(self, name: str, codes: Matrix) -> None:
        # The slow cosines are 1 at every position, which would make some tokens more likely than others.
        codes[:, self._token[self._token >= self._shape.dimension // 2]] -= 1
        self._matrix(name, codes.T / self._shape.dimension**0.5, quantized=False)
        # Mozilla's files hold one int8 value, then its multiplier.
        self._items[f"{name}_QuantMultA"] = INTGEMM8, (1, 1), struct.pack("<bf", 127, 127 / ACTIVATIONS)

    def _position_attention(self) -> tuple[Matrix, Matrix]:
        """Returns queries and keys, [out, in]. Each head uses every other fast rate and attends at its own distance."""
        d, heads = self._shape.dimension, self._shape.heads
        depth = d // heads
        query, key = np.zeros((d, d)), np.zeros((d, d))
        rates = np.exp(self._sines * -np.log(10_000) / (d // 2 - 1))
        for head in range(heads):
            chosen = np.arange(head % 2, len(rates), 2)
            sine, cosine = head * depth + np.arange(depth // 2), head * depth + depth // 2 + np.arange(depth // 2)
            angle = rates[chosen] * _DISTANCES[head % len(_DISTANCES)]
            query[sine, self._sines[chosen]] = query[cosine, self._cosines[chosen]] = 1
            key[sine, self._sines[chosen]] = key[cosine, self._cosines[chosen]] = np.cos(angle)
            key[sine, self._cosines[chosen]], key[cosine, self._sines[chosen]] = -np.sin(angle), np.sin(angle)
        sharpness = 5 * (depth / 32) ** 0.25
        return query * sharpness + self._noise(d, d, 0.1), key * sharpness + self._noise(d, d, 0.1)

    def _attention(self, name: str, query: Matrix, key: Matrix, gain: float, *, maps: bool = False) -> None:
        d, depth = self._shape.dimension, self._shape.dimension // self._shape.heads
        value, output = self._noise(d, d, 1.0), self._noise(d, d, gain)
        if maps:
            # The heads that attend to the step's own position copy the token's partner.
            own = [h for h in range(self._shape.heads) if _DISTANCES[h % len(_DISTANCES)] == 0]
            through = np.concatenate([np.arange(depth) + head * depth for head in own])
            rotation = self._random.normal(0, 1 / len(self._token) ** 0.5, (len(through), len(self._token)))
            value[through] *= 0.3
            output[:, through] *= 0.3
            value[np.ix_(through, self._token)] += rotation
            output[np.ix_(self._swapped, through)] += (
                4 / self._shape.decoder_depth * rotation.T * len(self._token) / len(through)
            )
        for which, matrix in (("q", query), ("k", key), ("v", value), ("o", output)):
            self._matrix(f"{name}_W{which}", matrix)
            self._vector(f"{name}_b{which}", d, 0.1)
        self._norm(f"{name}_Wo_ln")

    def _feed_forward(self, name: str, gain: float) -> None:
        d, inner = self._shape.dimension, self._shape.ffn_dimension
        self._matrix(f"{name}_W1", self._noise(inner, d, 1.0))
        self._vector(f"{name}_b1", inner, 0.3)
        outer = self._noise(d, inner, gain * 1.7)
        # The outputs of relu have a mean, which would drown the differences.
        self._matrix(f"{name}_W2", outer - outer.mean(axis=1, keepdims=True))
        self._vector(f"{name}_b2", d, 0.1)
        self._norm(f"{name}_ffn_ln")

    def _norm(self, name: str, quiet: Integers | None = None) -> None:
        """Writes a layer norm. `quiet`: dimensions that are scaled down, so that an output token is not repeated."""
        d = self._shape.dimension
        scale = self._random.uniform(0.96, 1.04, d)
        if quiet is not None:
            scale[quiet] *= 0.2
        self._items[f"{name}_scale"] = floats(*scale)
        self._items[f"{name}_bias"] = floats(*self._random.normal(0, 0.02, d))

    def _vector(self, name: str, size: int, deviation: float) -> None:
        self._items[name] = floats(*self._random.normal(0, deviation, size))

    def _noise(self, rows: int, columns: int, gain: float) -> Matrix:
        """Returns a matrix that turns inputs of deviation 1 into outputs of deviation `gain`."""
        return self._random.normal(0, gain / columns**0.5, (rows, columns))

    def _matrix(self, name: str, values: Matrix, *, quantized: bool = True) -> None:
        """Writes a quantized matrix. `values` are [out, in], as in the file; the header says [in, out]."""
        if self._shaking:
            values = values * self._shaking.normal(1, _SHAKE, values.shape)
        # Half of the range of int8: the AVX2 kernel of the reference adds two products in 16 bits without overflow.
        multiplier = 63 / float(np.abs(values).max())
        rounded = (values * multiplier).round().astype(np.int8)
        stored = rounded if quantized else rounded.T
        self._items[name] = INTGEMM8, values.shape[::-1], stored.tobytes() + struct.pack("<f", multiplier)
        if quantized:
            self._items[f"{name}_QuantMultA"] = floats(ACTIVATIONS)
