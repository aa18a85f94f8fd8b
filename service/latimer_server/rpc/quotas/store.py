"""The interface of quota stores."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from latimer_server.core.access import Quota, QuotaLimits

WINDOW_SECONDS = 60
# Counts are kept by steps of this length. A step counts until all of it is older than the window: a key never gets
# more than its quota in any 60 seconds, and 0.8 % less if it always asks for more.
STEP_SECONDS = 0.5
STEPS = round(WINDOW_SECONDS / STEP_SECONDS)
# When a call that was refused for the number of calls at a time may be tried again, in seconds.
CONCURRENT_RETRY_SECONDS = 1.0


class Charge(NamedTuple):
    """The answer to a request for a part of a quota.

    `refused`: the quota that is used up, None if all was granted. `used`: the part of the quota that is used now.
    `wait`: seconds until the same request would be granted if no other call took anything.
    """

    refused: Quota | None
    used: int
    wait: float = 0.0


class StoreFailed(Exception):
    """The store did not answer in time, or with an error. The message holds no credentials."""


class QuotaStore(Protocol):
    """Counts the use of quotas by key. Thread-safe. All methods raise `StoreFailed`.

    `is_remote`: whether its methods wait for another process.
    """

    @property
    def is_remote(self) -> bool:
        """Whether the methods wait for another process."""
        ...

    def begin(self, key: str, limits: QuotaLimits, lease: str) -> Charge:
        """Takes one request and, if the key has a bound on calls at a time, a lease of this name."""
        ...

    def charge(self, key: str, limit: int, characters: int) -> Charge:
        """Takes characters."""
        ...

    def end(self, key: str, lease: str) -> None:
        """Gives a lease back. A lease that the store does not have is ignored."""
        ...

    def forget(self, lease: str) -> None:
        """Gives a lease up without waiting for another process. It ends by itself."""
        ...

    def renew(self) -> None:
        """Keeps the leases that have not been given back. To be called every `RENEWAL_SECONDS`."""
        ...
