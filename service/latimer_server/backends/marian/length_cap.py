"""The output cap of a row of a student's batch, and the limits that both searches use."""

from __future__ import annotations

import math

from latimer_server.core.decoding import DecodingOptions

# The default output cap, in output tokens per source token: the `max-length-factor` of the training configuration. Real
# outputs have a ratio of at most 1.61.
_MAX_LENGTH_RATIO = 2.5
# The smallest default output cap.
_MIN_OUTPUT_TOKENS = 8
# Finished rows leave the batch once they are this share of it, because each compaction copies the rows that remain.
COMPACT_SHARE = 0.45
# The number of steps between two polls for cancellation.
STEPS_PER_CANCEL_CHECK = 32


def output_cap(source_tokens: int, options: DecodingOptions) -> int:
    """Returns the maximum number of output tokens of a row, without the end token, by its length and the options."""
    if options.max_length_ratio:
        cap = math.ceil(options.max_length_ratio * source_tokens)
    else:
        cap = max(_MIN_OUTPUT_TOKENS, math.ceil(_MAX_LENGTH_RATIO * source_tokens))
    return min(cap, options.max_output_tokens) if options.max_output_tokens else cap
