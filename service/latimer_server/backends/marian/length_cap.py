"""How much a row of a student's batch may write, and when rows that are done leave it.

Knows only numbers.
"""

from __future__ import annotations

import math

from latimer_server.core.decoding import DecodingOptions

# The training configuration's `max-length-factor`: no real output needs more (at most 1.61 was seen).
_MAX_LENGTH_RATIO = 2.5
_MIN_OUTPUT_TOKENS = 8
# Rows leave the batch once this share of it is finished; each leaving copies what stays.
COMPACT_SHARE = 0.45
# After so many steps it is asked whether anybody still waits.
STEPS_PER_CANCEL_CHECK = 32


def output_cap(source_tokens: int, options: DecodingOptions) -> int:
    """The most tokens that a row may write, the end token not counted."""
    if options.max_length_ratio:
        cap = math.ceil(options.max_length_ratio * source_tokens)
    else:
        cap = max(_MIN_OUTPUT_TOKENS, math.ceil(_MAX_LENGTH_RATIO * source_tokens))
    return min(cap, options.max_output_tokens) if options.max_output_tokens else cap
