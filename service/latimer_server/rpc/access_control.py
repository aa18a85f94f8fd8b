"""Access control: credentials, quotas and certificates of a server, and the watch over their files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from latimer_server.config.settings import Settings
from latimer_server.rpc.auth import Authenticator, load_credentials
from latimer_server.rpc.certificates import ServerCertificates, make_certificates
from latimer_server.rpc.quotas.guarded_store import GuardedStore
from latimer_server.rpc.quotas.local_store import LocalStore
from latimer_server.rpc.quotas.meter import QuotaMeter
from latimer_server.rpc.quotas.redis_store import RENEWAL_SECONDS, RedisStore
from latimer_server.rpc.quotas.store import QuotaStore
from latimer_server.rpc.reloading import ReloadedPart, Reloads

_log = logging.getLogger(__name__)

# How often the server looks whether a file of keys or certificates has changed.
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class AccessControl:
    """Credentials, quotas and certificates of a server.

    `certificates`: None without TLS. `reloads`: watches the files of keys and certificates.
    """

    authenticator: Authenticator
    quotas: QuotaStore
    certificates: ServerCertificates | None
    reloads: Reloads

    def make_meter(self) -> QuotaMeter:
        """Returns the meter of the server's calls."""
        return QuotaMeter(self.quotas)

    def list_works(self) -> list[Coroutine[Any, Any, None]]:
        """Returns the coroutines that run as long as the server does."""
        return [self._watch_files(), self._renew_leases()]

    async def _watch_files(self) -> None:
        """Reads files again that have changed. A file system that hangs delays nothing else."""
        while self.reloads.has_files:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await asyncio.to_thread(self.reloads.poll)
            except Exception as error:  # noqa: BLE001 (a defect must not end the watch)
                _log.error("files not watched", exc_info=error)
            if self.certificates:
                self.certificates.note_expiry()

    async def _renew_leases(self) -> None:
        """Keeps the places of calls in work in a quota store that servers share."""
        while self.quotas.is_remote:
            await asyncio.sleep(RENEWAL_SECONDS)
            await asyncio.to_thread(self.quotas.renew)


def make_access_control(settings: Settings) -> AccessControl:
    """Reads keys, tokens and certificates. Raises `LatimerError` if one of them or the quota store cannot be used."""
    reloads = Reloads()
    authenticator = Authenticator(
        needs_certificates=settings.tls_client_ca is not None, shares_by_address=settings.share_by_address
    )

    def load_keys() -> None:
        authenticator.credentials = load_credentials(settings.keys, settings.auth_tokens)

    if paths := [path for path in (settings.keys, settings.auth_tokens) if path]:
        reloads.add(ReloadedPart("keys", paths, load_keys))
    certificates = make_certificates(settings)
    if certificates:
        reloads.add(ReloadedPart("certificates", certificates.paths, certificates.load))
        if settings.tls_client_ca:
            authenticator.list_authorities = lambda: certificates.authorities
    return AccessControl(authenticator, _make_quota_store(settings), certificates, reloads)


def _make_quota_store(settings: Settings) -> QuotaStore:
    if settings.quota_store is None:
        return LocalStore()
    remote = RedisStore(settings.quota_store.get_secret_value(), settings.quota_store_timeout_seconds)
    return GuardedStore(remote, fails_open=settings.quota_store_failure == "open")
