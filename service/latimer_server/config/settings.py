"""Settings: defines and reads all settings of the server.

The first of these that has a setting wins: command-line flag, environment variable LATIMER_*, configuration file,
default.
"""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from latimer_server.config.resource_limits import available_cores, available_memory

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?)(i?)B?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
MOZILLA_REGISTRY = "https://storage.googleapis.com/moz-fx-translations-data--303e-prod-translations-data/db/models.json"


class LogFormat(StrEnum):
    """The format of log lines."""

    CONSOLE = "console"
    JSON = "json"


def default_store() -> Path:
    """Returns the default folder of the model store, in the user's data folder."""
    return user_data_path("latimer", appauthor=False) / "models"


def default_model_memory() -> int | None:
    """Returns half of the available memory in bytes; None (unlimited) if that is unknown.

    The other half is for running batches, and for the second copy of their weights that most models need while they are
    loaded. A server that exceeds the machine's memory is killed by the operating system.
    """
    memory = available_memory()
    return None if memory is None else memory // 2


def parse_size(text: str) -> int:
    """Returns the number of bytes that a text such as `2GiB`, `500 MB`, `1.5g` or `1000000` stands for.

    Raises ValueError for any other text.

    KiB, MiB, GiB, TiB and single letters are powers of 1,024; KB, MB, GB and TB are powers of 1,000.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text[:40]!r} is not a size; write for example 2GiB, 500MB, 1000000 or unlimited")
    number, unit, binary = match.groups()
    is_decimal = unit and not binary and text.strip()[-1] in "bB"
    return int(float(number) * (1_000 if is_decimal else 1_024) ** _POWERS[unit.upper()])


def check_address(listen: str) -> str:
    """Returns an address that is `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. Raises ValueError for any other text.

    gRPC itself takes port 99999 for 34463, -1 for 65535, and 443 if there is none.
    """
    if listen.startswith("unix:"):
        return listen
    host, _, port = listen.rpartition(":")
    is_number = port.isascii() and port.isdigit()
    if not host or not is_number or int(port) > _MAX_PORT or (":" in host and not host.startswith("[")):
        rule = f"write HOST:PORT, [IPV6]:PORT or unix:PATH, with a port from 0 to {_MAX_PORT}"
        raise ValueError(f"cannot listen on {listen[:80]!r}: {rule}")
    return listen


_MAX_PORT = 65_535
# More threads than that only wait for each other.
_MOST_THREADS, _THREADS_PER_CORE = 64, 4
# gRPC counts milliseconds in 32 bits.
_MOST_SECONDS = 2_000_000.0


class Settings(BaseSettings):
    """All settings of the server, described in docs/operating.md. Invalid values raise pydantic's ValidationError."""

    model_config = SettingsConfigDict(env_prefix="LATIMER_", frozen=True, extra="forbid")

    listen: str = "127.0.0.1:50051"
    store: Path = Field(default_factory=default_store)
    catalog: Path | None = None
    # The URL of the registry of Firefox's models, for `models fetch`.
    mozilla_registry: str = Field(default=MOZILLA_REGISTRY, pattern="^https?://")
    # Names of the models to load at the start; None loads the embedded models except those with `preload = false`.
    models: Annotated[tuple[str, ...] | None, NoDecode] = None
    compute_threads: int = Field(default_factory=available_cores, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # A bound on the bytes of all loaded models together; None is unlimited.
    max_model_memory: int | None = Field(default_factory=default_model_memory, ge=1)
    # A bound on the segment cache in megabytes (1,000,000 bytes); 0 disables it. Disabled by default, because the flag
    # CACHED and the response time tell a caller that another caller sent the same sentence before.
    segment_cache_mb: int = Field(default=0, ge=0)
    # Allows routes of two models through a pivot language.
    pivoting: bool = True
    # Enables the methods LoadModel and UnloadModel.
    admin: bool = False
    # Ends the server if a model to load at the start cannot be loaded.
    strict: bool = False
    # A bound on the requests in progress; further requests are refused.
    max_requests: int = Field(default=256, ge=1)
    # Bounds on open translation streams and health watches.
    max_streams: int = Field(default=256, ge=1, le=4096)
    max_watches: int = Field(default=64, ge=1, le=1024)
    # How long a request message may take to arrive.
    receive_seconds: float = Field(default=30.0, gt=0, le=_MOST_SECONDS)
    # How long a stream may wait for its config, and for each later message.
    stream_config_seconds: float = Field(default=30.0, gt=0, le=_MOST_SECONDS)
    stream_idle_seconds: float = Field(default=600.0, gt=0, le=_MOST_SECONDS)
    # A bound on connections; further ones are closed at once.
    max_connections: int = Field(default=1_000, ge=1)
    # How long a connection may take for its TLS handshake, and then to acknowledge HTTP/2's settings.
    handshake_seconds: float = Field(default=10.0, gt=0, le=_MOST_SECONDS)
    # A bound on the calls of one connection at a time; further calls wait in the client.
    max_calls_per_connection: int = Field(default=1024, ge=1)
    # A connection without calls is closed after `connection_idle_seconds`. One that has existed for
    # `connection_age_seconds` is told to reconnect, so that clients find new servers; its calls have
    # `connection_grace_seconds` to end.
    connection_idle_seconds: float = Field(default=300.0, gt=0, le=_MOST_SECONDS)
    connection_age_seconds: float = Field(default=14_400.0, gt=0, le=_MOST_SECONDS)
    connection_grace_seconds: float = Field(default=3_600.0, gt=0, le=_MOST_SECONDS)
    # A silent client is pinged after `keepalive_seconds` and is gone if it does not answer in time.
    keepalive_seconds: float = Field(default=60.0, ge=10, le=_MOST_SECONDS)
    keepalive_timeout_seconds: float = Field(default=20.0, ge=1, le=_MOST_SECONDS)
    # The most seconds that a stopping server waits for the calls in progress to finish.
    drain_seconds: float = Field(default=30.0, ge=0, le=_MOST_SECONDS)
    log_format: LogFormat = LogFormat.CONSOLE
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    # The share of the calls with status OK that are logged; other calls always are.
    log_ok_share: float = Field(default=1.0, ge=0, le=1)
    # The address of /metrics, /livez and /readyz; "" turns metrics off.
    metrics: str = "127.0.0.1:9464"
    # The address of an OTLP collector over gRPC, such as http://127.0.0.1:4317; None turns traces off. Without it the
    # environment variable OTEL_EXPORTER_OTLP_ENDPOINT counts, as OpenTelemetry defines it.
    otlp_endpoint: str | None = Field(default=None, pattern="^(https?://.+)?$")
    # The share of the calls that begin a trace. A caller's own trace is recorded if its `traceparent` says so.
    trace_share: float = Field(default=0.01, ge=0, le=1)
    # A file of accepted bearer tokens, one per line. None: the server accepts every caller.
    auth_tokens: Path | None = None
    # A file of keys with scopes and quotas, which `latimer-server keys` writes.
    keys: Path | None = None
    # A Redis in which several servers count the quotas of keys together; None counts in memory.
    quota_store: SecretStr | None = None
    # Whether calls of keys with quotas are counted by this server alone or refused while Redis does not answer.
    quota_store_failure: Literal["open", "closed"] = "open"
    # How long a call waits for Redis.
    quota_store_timeout_seconds: float = Field(default=0.25, gt=0, le=10)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    # The authorities of client certificates. If it is set, every caller needs a certificate that one of them signed.
    tls_client_ca: Path | None = None
    # Allows an address that other machines can reach without TLS or without keys.
    insecure: bool = False

    @field_validator("models", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        """Splits a comma-separated text, from a flag or the environment, into names. An empty text has no names."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("store", "auth_tokens", "keys", "tls_certificate", "tls_key", "tls_client_ca", mode="before")
    @classmethod
    def _refuse_empty(cls, value: object) -> object:
        if value == "":
            raise ValueError("is empty; leave it out or name a file")
        return value

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        return check_address(value)

    @field_validator("quota_store")
    @classmethod
    def _check_quota_store(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("redis://", "rediss://", "redis+unix://")):
            raise ValueError("write redis://HOST:PORT/DATABASE, rediss:// for TLS, or redis+unix:///PATH")
        return value

    @field_validator("compute_threads")
    @classmethod
    def _bound_threads(cls, value: int) -> int:
        most = max(_MOST_THREADS, _THREADS_PER_CORE * available_cores())
        if value > most:
            raise ValueError(f"is {value}; at most {most} are allowed on {available_cores()} cores")
        return value

    @field_validator("max_model_memory", mode="before")
    @classmethod
    def _parse_max_memory(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return None if value.strip().lower() in ("unlimited", "none") else parse_size(value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the library calls it by name)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns the sources of settings, the first of which wins: flags, environment, configuration file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(config: Path | None, **flags: Any) -> Settings:  # noqa: ANN401 (each flag has its own type)
    """Reads the settings from flags, the environment and the configuration file `config` (TOML).

    A flag that is None counts as not given. Raises pydantic's ValidationError for invalid values, ValueError for
    a file that is no TOML and OSError if the file cannot be read.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if config is None:
        return Settings(**given)
    if not config.is_file():
        problem = "is no regular file" if config.exists() else "does not exist"
        raise FileNotFoundError(f"the configuration file {config} {problem}")

    class _FileSettings(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        return _FileSettings(**given)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{config}: is no TOML file: {error}") from error
