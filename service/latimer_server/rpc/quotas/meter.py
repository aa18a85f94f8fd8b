"""The meter of quotas: charges each call to the quotas of its key, and describes the rest to its caller."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterable

from google.protobuf.message import Message

from latimer_server.core.access import Principal, Quota
from latimer_server.core.errors import InvalidRequest, QuotaExceeded, Violation
from latimer_server.rpc.quotas.characters import CharacterCounter, divide_items
from latimer_server.rpc.quotas.store import Charge, QuotaStore

Metadata = tuple[tuple[str, str], ...]
# Raises `Unauthenticated` if the key of a call has ended since the call began.
RequireCurrent = Callable[[Principal], None]
_RULES = {
    Quota.REQUESTS: "the key has used its {limit:,} requests of the last minute",
    Quota.CHARACTERS: "the key has used {used:,} of its {limit:,} characters of the last minute; this has {amount:,}",
    Quota.CONCURRENT: "the key has {limit:,} calls in work, which is its quota",
}


class QuotaUse:
    """The use of quotas by one call. `begin` comes first, `end` last; `charge` comes with each message."""

    def __init__(self, store: QuotaStore, require_current: RequireCurrent, principal: Principal, lease: str) -> None:
        self._store = store
        self._require_current = require_current
        self._principal = principal
        self._lease = lease
        self._counter = CharacterCounter()
        self._left: dict[Quota, int] = {}

    @property
    def is_remote(self) -> bool:
        """Whether `charge` waits for another process."""
        return self._store.is_remote and self._principal.limits.characters is not None

    def begin(self) -> None:
        """Takes one request and a place among the calls in work. Raises `QuotaExceeded` and `QuotaUnknown`."""
        limits = self._principal.limits
        if limits.requests is None and limits.concurrent is None:
            return
        charge = self._store.begin(self._principal.key, limits, self._lease)
        if charge.refused is not Quota.CONCURRENT and limits.requests is not None:
            self._left[Quota.REQUESTS] = limits.requests - charge.used
        self._require(charge, 1)

    def divide(self, message: Message) -> Iterable[Message]:
        """Returns a message of a stream, in parts if it has more characters than the whole quota.

        The client's library chooses how many items a message has, which must not make them impossible to serve.
        """
        limit = self._principal.limits.characters
        return (message,) if limit is None or self._counter.count(message) <= limit else divide_items(message)

    def charge(self, message: Message) -> None:
        """Takes the characters of a message.

        Raises `InvalidRequest` if the message has more than the whole quota, `QuotaExceeded`, `QuotaUnknown`, and
        `Unauthenticated` if the key has ended since the call began.
        """
        self._require_current(self._principal)
        limit = self._principal.limits.characters
        if limit is None:
            return
        characters = self._counter.count(message)
        if characters > limit:
            rule = f"the message has {characters:,} characters; the key has {limit:,} a minute, so divide it"
            field = "items" if "items" in message.DESCRIPTOR.fields_by_name else "contents"
            raise InvalidRequest(Violation(field, rule))
        charge = self._store.charge(self._principal.key, limit, characters)
        self._left[Quota.CHARACTERS] = max(0, limit - charge.used)
        self._require(charge, characters)

    def end(self) -> None:
        """Gives back the place among the calls in work."""
        if self._principal.limits.concurrent is not None:
            self._store.end(self._principal.key, self._lease)

    def describe(self) -> Metadata:
        """Returns the trailing metadata of the call: each quota and its rest."""
        limits, metadata = self._principal.limits, []
        for quota, limit, name in (
            (Quota.REQUESTS, limits.requests, "requests"),
            (Quota.CHARACTERS, limits.characters, "characters"),
        ):
            if quota in self._left:
                metadata.append((f"x-ratelimit-limit-{name}", str(limit)))
                metadata.append((f"x-ratelimit-remaining-{name}", str(self._left[quota])))
        return tuple(metadata)

    def _require(self, charge: Charge, amount: int) -> None:
        if charge.refused is None:
            return
        limits = self._principal.limits
        limit = {
            Quota.REQUESTS: limits.requests,
            Quota.CHARACTERS: limits.characters,
            Quota.CONCURRENT: limits.concurrent,
        }[charge.refused]
        rule = _RULES[charge.refused].format(limit=limit, used=charge.used, amount=amount)
        raise QuotaExceeded(charge.refused, self._principal.key, limit or 0, rule, charge.wait)


class QuotaMeter:
    """Makes the `QuotaUse` of each call."""

    def __init__(self, store: QuotaStore, require_current: RequireCurrent) -> None:
        self._store = store
        self._require_current = require_current
        # Leases of all servers that share a store have different names.
        self._server = secrets.token_hex(8)
        self._numbers = itertools.count()

    def make_use(self, principal: Principal) -> QuotaUse | None:
        """Returns the use of a new call; None if its caller has no key."""
        if not principal.key:
            return None
        return QuotaUse(self._store, self._require_current, principal, f"{self._server}-{next(self._numbers)}")
