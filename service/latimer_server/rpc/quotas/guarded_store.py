"""Goes on without a quota store that fails: counts by this server alone, or refuses calls."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from latimer_server.core.access import QuotaLimits
from latimer_server.core.errors import QuotaUnknown
from latimer_server.rpc.quotas.local_store import LocalStore
from latimer_server.rpc.quotas.store import Charge, QuotaStore, StoreFailed

_log = logging.getLogger(__name__)

T = TypeVar("T")
# After a failure the store is left alone for so long, then one call tries it again. So at most one call waits for it.
_PAUSE_SECONDS = 2.0


class GuardedStore:
    """A remote store, in whose place this server counts alone while it fails. Thread-safe.

    `fails_open`: False raises `QuotaUnknown` instead of counting alone. `clock`: monotonic seconds.
    """

    is_remote = True

    def __init__(self, remote: QuotaStore, *, fails_open: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._remote = remote
        self._local = LocalStore(clock)
        self._fails_open = fails_open
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = False
        self._tries_again = 0.0

    def begin(self, key: str, limits: QuotaLimits, lease: str) -> Charge:
        """Takes a request and a lease."""
        return self._run(lambda: self._remote.begin(key, limits, lease), lambda: self._local.begin(key, limits, lease))

    def charge(self, key: str, limit: int, characters: int) -> Charge:
        """Takes characters."""
        return self._run(
            lambda: self._remote.charge(key, limit, characters), lambda: self._local.charge(key, limit, characters)
        )

    def end(self, key: str, lease: str) -> None:
        """Gives a lease back, to whichever store has it."""
        self._local.end(key, lease)
        if self._failed:
            self._remote.forget(lease)
        else:
            self._remote.end(key, lease)

    def forget(self, lease: str) -> None:
        """Gives a lease up without waiting for the store."""
        self._local.forget(lease)
        self._remote.forget(lease)

    def renew(self) -> None:
        """Keeps the leases of calls in work; a failure is noted."""
        if self._may_try():
            try:
                self._remote.renew()
            except StoreFailed as error:
                self._note_failure(error)

    def _run(self, remote: Callable[[], Charge], local: Callable[[], Charge]) -> Charge:
        if self._may_try():
            try:
                charge = remote()
            except StoreFailed as error:
                self._note_failure(error)
            else:
                if self._failed:
                    self._note_success()
                return charge
        if self._fails_open:
            return local()
        raise QuotaUnknown("the quotas of keys cannot be counted at the moment; try again later")

    def _may_try(self) -> bool:
        if not self._failed:
            return True
        with self._lock:
            now = self._clock()
            if now < self._tries_again:
                return False
            self._tries_again = now + _PAUSE_SECONDS
            return True

    def _note_failure(self, error: StoreFailed) -> None:
        with self._lock:
            is_first = not self._failed
            self._failed = True
            self._tries_again = self._clock() + _PAUSE_SECONDS
        if is_first:
            instead = "this server counts alone" if self._fails_open else "calls with quotas are refused"
            _log.error("quota store failed", extra={"cause": str(error), "until_it_answers": instead})

    def _note_success(self) -> None:
        with self._lock:
            was_failed, self._failed = self._failed, False
        if was_failed:
            _log.info("quota store answers again")
