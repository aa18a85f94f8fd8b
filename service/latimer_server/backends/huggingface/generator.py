"""The common part of the two backends for checkpoints of the hub: tokenization, limits, and batches by output cap.

Independent of the library that computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from latimer_server.backends.huggingface.config import HubConfig
from latimer_server.backends.huggingface.tokenization import Tokenization
from latimer_server.backends.protocol import Encoding, LoadRequest
from latimer_server.core.decoding import BatchLimits, DecodingOptions, Hypothesis, LanguagePair, TokenIds


class HubGenerator:
    """The part of a `GeneratorBackend` that does not depend on the library that runs the model.

    `counts_beams`: True if each hypothesis of a beam costs as much as a row. `limits.default_beam` is then the
    checkpoint's default beam size, otherwise 0.
    """

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
            delegates=True,
        )

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """See `GeneratorBackend.encode`."""
        return self._tokenization.encode(texts, languages)

    def word_score(self, word: str) -> float | None:  # noqa: ARG002
        """See `GeneratorBackend.word_score`. The tokenizers of the hub have no common interface for this."""
        return None

    def token_starts(self, text: str) -> list[int]:
        """See `GeneratorBackend.token_starts`."""
        return self._tokenization.token_starts(text)

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """See `GeneratorBackend.decode`."""
        return self._tokenization.decode(ids)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """See `GeneratorBackend.token_spans`."""
        return self._tokenization.token_spans(text)

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        """See `GeneratorBackend.decode_spans`."""
        return self._tokenization.decode_spans(ids)

    def _begin_output(self, target: str) -> TokenIds:
        """Returns the forced first ids of an output: the token of the target language, or else the checkpoint's.

        A causal model has none. Never both: a checkpoint that was fine-tuned for one language forces the token of
        that language.
        """
        if self._config.causal:
            return ()
        return self._tokenization.decoder_prefix(target) or self._config.first_ids

    def _run_by_cap(
        self,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
        run: Callable[[Sequence[TokenIds], int], Sequence[Hypothesis]],
    ) -> list[Hypothesis]:
        """Calls `run` with the rows of each output cap and the cap. Returns all hypotheses in the order of the batch.

        Both libraries take one cap for a whole batch.
        """
        by_cap: dict[int, list[int]] = {}
        for index, row in enumerate(batch):
            by_cap.setdefault(self._config.cap_output(len(row), options, self._task), []).append(index)
        hypotheses: dict[int, Hypothesis] = {}
        for cap, indices in by_cap.items():
            hypotheses |= zip(indices, run([batch[index] for index in indices], cap), strict=True)
        return [hypotheses[index] for index in range(len(batch))]
