"""Abandonment: long work in a thread ends early once nobody waits for its result.

The context that starts the work says whether it is abandoned; the work asks between its parts. There it also lets other
work have a turn (`scheduling/text_work.py`). Without such a context nothing is ever abandoned.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

_is_abandoned: ContextVar[Callable[[], bool] | None] = ContextVar("is_abandoned", default=None)


class Abandoned(Exception):
    """Raised inside work that nobody waits for any more."""


def set_abandonment(is_abandoned: Callable[[], bool]) -> None:
    """Sets, for the current context, the function that returns True once the work is abandoned. It may wait until the
    work has its next turn. Any thread may call it."""
    _is_abandoned.set(is_abandoned)


def require_wanted() -> None:
    """Raises `Abandoned` if the work of this context is abandoned. Call it between the parts of long work."""
    check = _is_abandoned.get()
    if check is not None and check():
        raise Abandoned
