"""Access: the identity of a call's caller, and the scopes and quotas of its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Scope(StrEnum):
    """A part of the interface that a key opens. GetModel and ListModels are open to every key."""

    TRANSLATE = "translate"
    SUMMARIZE = "summarize"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)


class Quota(StrEnum):
    """A bound on the use of the server by one key."""

    REQUESTS = "requests_per_minute"
    CHARACTERS = "characters_per_minute"
    CONCURRENT = "concurrent"


@dataclass(frozen=True)
class QuotaLimits:
    """The quotas of a key; None is unlimited.

    `requests`: calls in any 60 seconds. `characters`: code points of contents in any 60 seconds. `concurrent`: calls at
    a time.
    """

    requests: int | None = None
    characters: int | None = None
    concurrent: int | None = None


class Standing(StrEnum):
    """What the credentials of a call prove. STRANGER: nothing, on a server with keys. OPEN: the server has no keys."""

    PROVEN = "proven"
    OPEN = "open"
    STRANGER = "stranger"


@dataclass(frozen=True)
class Principal:
    """The caller of a call, as far as its credentials prove it.

    `caller`: the name under which queues and limits count its calls. `key`: the name of its key, which logs may hold;
    "" without keys. `scopes`: those of the key. `standing`: what its credentials prove.
    """

    caller: str
    key: str = ""
    scopes: frozenset[Scope] = ALL_SCOPES
    limits: QuotaLimits = field(default_factory=QuotaLimits)
    standing: Standing = Standing.PROVEN


# The principal of a call before its credentials are checked.
UNKNOWN = Principal("", standing=Standing.STRANGER)
