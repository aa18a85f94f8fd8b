"""The meter of quotas: charges each call to the quotas of its key, and describes the rest to its caller."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable
from typing import NoReturn

from google.protobuf.message import Message

from latimer_server.core.access import Quota, QuotaLimits
from latimer_server.core.errors import InvalidRequest, QuotaExceeded, Violation
from latimer_server.rpc.call_access import CallAccess
from latimer_server.rpc.quotas.characters import CharacterCounter, divide_items
from latimer_server.rpc.quotas.store import Charge, QuotaStore

Metadata = tuple[tuple[str, str], ...]
# The names of trailing metadata: of the limit and of the rest.
_REQUESTS = "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"
_CHARACTERS = "x-ratelimit-limit-characters", "x-ratelimit-remaining-characters"
_RULES = {
    Quota.REQUESTS: "the key has used its {limit:,} requests of the last minute",
    Quota.CHARACTERS: "the key has used {used:,} of its {limit:,} characters of the last minute; this has {amount:,}",
    Quota.CONCURRENT: "the key has {limit:,} calls in work, which is its quota",
}


class QuotaUse:
    """The use of quotas by one call. `begin` comes first, `end` last; `charge` comes with each message.

    `access`: of the call; its quotas may change while a stream is open.
    """

    def __init__(self, store: QuotaStore, access: CallAccess, lease: str) -> None:
        self._store = store
        self._access = access
        self._key = access.principal.key
        self._lease = lease
        self._may_hold_lease = False
        self._counter = CharacterCounter()
        # The limit and the rest of each quota that was asked for, as trailing metadata has them.
        self._requests_left: Metadata = ()
        self._characters_left: Metadata = ()

    @property
    def is_remote(self) -> bool:
        """Whether `charge` waits for another process."""
        return self._store.is_remote and self._access.limits.characters is not None

    def begin(self) -> None:
        """Takes one request and a place among the calls in work. Raises `QuotaExceeded` and `QuotaUnknown`."""
        limits = self._access.limits
        if limits.requests is None and limits.concurrent is None:
            return
        self._may_hold_lease = limits.concurrent is not None
        self._take_request(limits)

    def count_question(self) -> None:
        """Takes one request for a further question of an open stream. Raises as `begin` does."""
        limits = self._access.limits
        if limits.requests is not None:
            self._take_request(QuotaLimits(requests=limits.requests))

    def _take_request(self, limits: QuotaLimits) -> None:
        charge = self._store.begin(self._key, limits, self._lease)
        if charge.refused is not Quota.CONCURRENT and limits.requests is not None:
            self._requests_left = _describe(_REQUESTS, limits.requests, charge.used)
        if charge.refused is None:
            return
        limit = limits.concurrent if charge.refused is Quota.CONCURRENT else limits.requests
        self._refuse(charge, charge.refused, limit, 1)

    def divide(self, message: Message) -> Iterable[Message]:
        """Returns a message of a stream, in parts if it has more characters than the whole quota.

        The client's library chooses how many items a message has, which must not make them impossible to serve.
        """
        limit = self._access.limits.characters
        return (message,) if limit is None or self._counter.count(message) <= limit else divide_items(message)

    def charge(self, message: Message) -> None:
        """Takes the characters of a message.

        Raises `InvalidRequest` if the message has more than the whole quota, `QuotaExceeded` and `QuotaUnknown`.
        """
        limit = self._access.limits.characters
        if limit is None:
            return
        characters = self._counter.count(message)
        if characters > limit:
            rule = f"the message has {characters:,} characters; the key has {limit:,} a minute, so divide it"
            field = "items" if "items" in message.DESCRIPTOR.fields_by_name else "contents"
            raise InvalidRequest(Violation(field, rule))
        charge = self._store.charge(self._key, limit, characters)
        self._characters_left = _describe(_CHARACTERS, limit, charge.used)
        if charge.refused is not None:
            self._refuse(charge, charge.refused, limit, characters)

    def end(self) -> None:
        """Gives back the place among the calls in work."""
        if self._may_hold_lease:
            self._store.end(self._key, self._lease)

    def describe(self) -> Metadata:
        """Returns the trailing metadata of the call: each quota and its rest."""
        return self._requests_left + self._characters_left

    def _refuse(self, charge: Charge, quota: Quota, limit: int | None, amount: int) -> NoReturn:
        rule = _RULES[quota].format(limit=limit, used=charge.used, amount=amount)
        raise QuotaExceeded(quota, self._key, limit or 0, rule, charge.wait)


def _describe(names: tuple[str, str], limit: int, used: int) -> Metadata:
    return (names[0], str(limit)), (names[1], str(max(0, limit - used)))


class QuotaMeter:
    """Makes the `QuotaUse` of each call."""

    def __init__(self, store: QuotaStore) -> None:
        self._store = store
        # Leases of all servers that share a store have different names.
        self._server = secrets.token_hex(8)
        self._numbers = itertools.count()

    def make_use(self, access: CallAccess) -> QuotaUse | None:
        """Returns the use of a new call; None if its caller has no key."""
        if not access.principal.key:
            return None
        return QuotaUse(self._store, access, f"{self._server}-{next(self._numbers)}")
