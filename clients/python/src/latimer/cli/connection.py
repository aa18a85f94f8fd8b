"""The options that every command has: which server, and how to reach it. A file holds profiles of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from latimer._addresses import parse_addresses
from latimer._client import Client
from latimer.batch.results import BatchError
from latimer.batch.sending import ServerAddress
from latimer.types import TLS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_ADDRESS = "localhost:50051"

_PANEL = "Server"
_KEYS = ("address", "ca", "from", "timeout", "tls", "to", "token", "token_file")

AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        "--server",
        help="HOST:PORT of the server; several with commas between. "
        f"Default: LATIMER_ADDRESS, else the file of settings, else {DEFAULT_ADDRESS}.",
        rich_help_panel=_PANEL,
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        help="Token that the server accepts. Default: LATIMER_TOKEN, else the file of settings.",
        rich_help_panel=_PANEL,
    ),
]
TlsOption = Annotated[
    bool,
    typer.Option("--tls", help="Use TLS and trust the usual certificate authorities.", rich_help_panel=_PANEL),
]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", help="Use TLS and trust the certificates in this PEM file.", rich_help_panel=_PANEL),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0.001, help="Seconds to wait for an answer. Default: no limit.", rich_help_panel=_PANEL
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", help="Profile of the file of settings. Default: LATIMER_PROFILE.", rich_help_panel=_PANEL
    ),
]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach the servers. `target` and `source`: the languages that the profile names; None if it does not."""

    addresses: tuple[str, ...]
    token: str | None = None
    tls: TLS | None = None
    timeout: float | None = None
    target: str | None = None
    source: str | None = None

    @property
    def name(self) -> str:
        """The addresses for messages."""
        return ", ".join(self.addresses)

    @property
    def servers(self) -> list[ServerAddress]:
        """The servers of a batch."""
        return [ServerAddress(address, self.token, self.tls) for address in self.addresses]

    @contextmanager
    def open(self) -> Iterator[Client]:
        """Yields a client of the first server."""
        with Client(self.addresses[0], timeout=self.timeout, token=self.token, tls=self.tls) as client:
            yield client


def connect(
    address: str | None,
    token: str | None,
    ca: Path | None,
    timeout: float | None,
    profile: str | None,
    *,
    tls: bool,
) -> Connection:
    """Returns the connection of a command: options, then environment, then the profile. Raises `BatchError`, and
    `InvalidArgumentError` for an address that has another form."""
    path = settings_path()
    settings = read_profile(path, profile)
    ca = ca or (path.parent / Path(settings["ca"]).expanduser() if "ca" in settings else None)
    addresses = tuple(filter(None, (part.strip() for part in (address or settings.get("address") or "").split(","))))
    if addresses:
        parse_addresses(addresses)
    return Connection(
        addresses=addresses or (DEFAULT_ADDRESS,),
        token=token or settings.get("token") or _read_token(path, settings),
        tls=_read_tls(ca, wanted=tls or bool(settings.get("tls"))),
        timeout=timeout if timeout is not None else settings.get("timeout"),
        target=settings.get("to"),
        source=settings.get("from"),
    )


def settings_path() -> Path:
    """Returns the path of the file of settings."""
    if os.name == "nt":
        folder = Path(os.environ.get("APPDATA", "~")).expanduser()
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return folder / "latimer" / "config.toml"


def read_profile(path: Path, profile: str | None) -> Mapping[str, Any]:
    """Returns the settings of a profile. The keys outside of profiles hold for all. Raises `BatchError`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = {}
    except (OSError, UnicodeDecodeError) as error:
        raise BatchError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BatchError(f"{path} is not valid TOML: {error}") from error
    profiles = document.pop("profiles", {})
    if profile is not None and profile not in profiles:
        known = ", ".join(profiles) or "none"
        raise BatchError(f"there is no profile {profile!r} in {path}; its profiles: {known}")
    settings = {**document, **(profiles[profile] if profile is not None else {})}
    for name, value in settings.items():
        if name not in _KEYS:
            raise BatchError(f"{path}: there is no setting {name!r}; use {', '.join(_KEYS)} or [profiles.NAME]")
        wanted = {"tls": bool, "timeout": (int, float)}.get(name, str)
        if not isinstance(value, wanted):  # type: ignore[arg-type]
            raise BatchError(f"{path}: {name} has a value of a wrong type")
    return settings


def _read_token(path: Path, settings: Mapping[str, Any]) -> str | None:
    if "token_file" not in settings:
        return None
    file = path.parent / Path(settings["token_file"]).expanduser()
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BatchError(f"{file}, the token_file of {path}, cannot be read: {error}") from error


def _read_tls(ca: Path | None, *, wanted: bool) -> TLS | None:
    if ca is None:
        return TLS() if wanted else None
    try:
        return TLS(root_certificates=ca.read_bytes())
    except OSError as error:
        raise BatchError(f"cannot read the certificates of --ca {ca}: {error.strerror}") from error
