"""What the two backends for checkpoints of the hub have in common: text to ids and back, limits, batches by cap.

Knows tokenization and the checkpoint's configuration; nothing of what computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from latimer_server.backends.huggingface.config import HubConfig
from latimer_server.backends.huggingface.tokenization import Tokenization
from latimer_server.backends.protocol import Encoding, LoadRequest
from latimer_server.core.decoding import BatchLimits, DecodingOptions, Hypothesis, LanguagePair, TokenIds


class HubGenerator:
    """The part of a `GeneratorBackend` that does not depend on the library that runs the model."""

    def __init__(
        self,
        tokenization: Tokenization,
        config: HubConfig,
        request: LoadRequest,
        *,
        max_batch_rows: int,
        max_batch_tokens: int,
        concurrent_batches: int = 1,
        counts_beams: bool = False,
    ) -> None:
        self._tokenization = tokenization
        self._config = config
        self._task = request.task
        longest = config.limit_input(request.max_input_tokens, request.task)
        self.limits = BatchLimits(
            longest,
            max(max_batch_tokens, longest),
            max_batch_rows,
            tokenization.added_tokens,
            concurrent_batches,
            default_beam=(config.defaults.beam_size or 1) if counts_beams else 0,
        )

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """See `GeneratorBackend.encode`."""
        return self._tokenization.encode(texts, languages)

    def token_starts(self, text: str) -> list[int]:
        """See `GeneratorBackend.token_starts`."""
        return self._tokenization.token_starts(text)

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """See `GeneratorBackend.decode`."""
        return self._tokenization.decode(ids)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """See `GeneratorBackend.token_spans`."""
        return self._tokenization.token_spans(text)

    def find_unknown(self, text: str) -> list[tuple[int, int]]:
        """See `GeneratorBackend.find_unknown`."""
        return self._tokenization.find_unknown(text)

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        """See `GeneratorBackend.decode_spans`."""
        return self._tokenization.decode_spans(ids)

    def _begin_output(self, target: str) -> TokenIds:
        """What every output begins with: the language to write, else what the checkpoint forces to be first. One
        fine-tuned for a single language is saved with that language's token there, which would stand twice."""
        if self._config.causal:
            return ()
        return self._tokenization.decoder_prefix(target) or self._config.first_ids

    def _run_by_cap(
        self,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
        run: Callable[[Sequence[TokenIds], int], Sequence[Hypothesis]],
    ) -> list[Hypothesis]:
        """Both libraries take one output cap for a whole batch, and rows have their own: those of one cap go
        together."""
        by_cap: dict[int, list[int]] = {}
        for index, row in enumerate(batch):
            by_cap.setdefault(self._config.cap_output(len(row), options, self._task), []).append(index)
        done: dict[int, Hypothesis] = {}
        for cap, indices in by_cap.items():
            done |= zip(indices, run([batch[index] for index in indices], cap), strict=True)
        return [done[index] for index in range(len(batch))]
