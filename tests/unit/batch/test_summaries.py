"""Calls for summaries of a batch: an error of the whole call is told apart from errors of its texts."""

from __future__ import annotations

import pytest

from latimer import ConnectionFailedError, InvalidArgumentError, LatimerError, Summary, UnauthenticatedError
from latimer.batch.summaries import find_call_error

GONE = ConnectionFailedError("gone", code="UNAVAILABLE")
DENIED = UnauthenticatedError("no token", code="UNAUTHENTICATED")
BAD = InvalidArgumentError("too long", code="INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("errors", "found"),
    [
        ([], None),
        ([None, None], None),
        ([GONE, GONE], GONE),
        ([GONE], GONE),
        ([DENIED], DENIED),
        ([BAD, BAD], BAD),
        ([BAD], None),  # of the only text
        ([BAD, None], None),
        ([GONE, InvalidArgumentError("another")], None),
    ],
)
def test_the_error_of_a_call_is_the_one_that_all_summaries_share(
    errors: list[LatimerError | None], found: LatimerError | None
) -> None:
    assert find_call_error([Summary(text="", error=error) for error in errors]) is found
