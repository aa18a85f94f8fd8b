"""Warnings of results on standard error, by flag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from latimer.batch.flags import explain_flag
from latimer.cli.messages import say


def show_warnings(counts: Counter[str], places: Mapping[str, str] | None = None) -> None:
    """Prints each warning with its number. `places`: where the worst text of each warning is."""
    for flag, count in counts.most_common():
        known = [f"{count:,} times"] if count > 1 else []
        if place := (places or {}).get(flag):
            known.append(f"worst in {place}" if count > 1 else place)
        times = f" ({', '.join(known)})" if known else ""
        meaning = explain_flag(flag)
        say(f"warning: {flag}{times}{': ' if meaning else ''}{meaning}")
