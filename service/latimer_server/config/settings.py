"""Settings: defines and reads all settings of the server.

The first of these that has a setting wins: command-line flag, environment variable LATIMER_*, configuration file,
default.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from latimer_server.config.collector_address import check_collector
from latimer_server.config.resource_limits import available_cores, available_memory
from latimer_server.config.toml_lines import TomlError, parse_toml

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


def setting(default: object, description: str, *, shown: str = "", rule: str = "", **bounds: Any) -> Any:  # noqa: ANN401 (as Field)
    """Returns the field of a setting. `description`: its meaning, in one sentence for help texts and the documentation.
    `shown`: the default in words where it depends on the machine. `rule`: what a value must be, where its type and
    bounds do not say it; see `value_rules`. `bounds`: those of pydantic's `Field`."""
    fields: dict[str, Any] = {"description": description, **bounds}
    if words := {name: text for name, text in (("shown", shown), ("rule", rule)) if text}:
        fields["json_schema_extra"] = words
    return Field(default_factory=default, **fields) if callable(default) else Field(default=default, **fields)


class Settings(BaseSettings):
    """All settings of the server, described in docs/operating.md. Invalid values raise pydantic's ValidationError."""

    model_config = SettingsConfigDict(env_prefix="LATIMER_", frozen=True, extra="forbid")

    listen: str = setting("127.0.0.1:50051", "HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 takes a free port.")
    insecure: bool = setting(
        default=False, description="Allow an address that other machines reach without TLS or without keys."
    )
    keys: Path | None = setting(None, "Key file, which `latimer-server keys` makes.", shown="none: everybody may call")
    auth_tokens: Path | None = setting(None, "File of tokens without scopes and quotas, one a line.", shown="none")
    tls_certificate: Path | None = setting(None, "Certificate chain (PEM); needs tls_key.", shown="none: plaintext")
    tls_key: Path | None = setting(None, "Key of the certificate (PEM, unencrypted).", shown="none")
    tls_client_ca: Path | None = setting(
        None, "Authorities of client certificates (PEM); every caller then needs a certificate.", shown="none"
    )
    quota_store: SecretStr | None = setting(
        None, "Redis in which servers count quotas together, such as redis://HOST:6379/0.", shown="none: in memory"
    )
    quota_store_failure: Literal["open", "closed"] = setting(
        "open", "While Redis fails: open counts in this server alone, closed refuses calls of keys with quotas."
    )
    quota_store_timeout_seconds: float = setting(0.25, "How long a call waits for Redis.", gt=0, le=10)
    admin: bool = setting(default=False, description="Serve LoadModel and UnloadModel.")
    store: Path = setting(default_store, "Folder of the model files.", shown="latimer/models in the user's data folder")
    catalog: Path | None = setting(None, "Your own catalogue, on top of the built-in one.", shown="none")
    mozilla_registry: str = setting(
        MOZILLA_REGISTRY,
        "Where `models fetch` finds mozilla: models.",
        pattern="^https?://",
        rule="an address that begins with https:// or http://",
        shown="Mozilla's bucket",
    )
    models: Annotated[tuple[str, ...] | None, NoDecode] = setting(
        None, "Models to load at the start, separated by commas; empty loads none.", shown="the embedded models"
    )
    strict: bool = setting(default=False, description="End with status 1 if a model cannot be loaded at the start.")
    max_model_memory: int | None = setting(
        default_model_memory,
        "Memory of all loaded models together, such as 2GiB or 500MB, or unlimited.",
        ge=1,
        shown="half of the memory",
    )
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "Where models run; auto takes CUDA if there is a GPU.")
    pivoting: bool = setting(default=True, description="Translate a pair through two models if no model serves it.")
    compute_threads: int = setting(available_cores, "Cores that all batches share.", ge=1, shown="all available cores")
    # Off by default: the flag CACHED and the response time tell a caller that another caller sent the same sentence.
    segment_cache_mb: int = setting(
        0, "Megabytes of the cache of translated segments; it lets callers find out what others sent. 0 is off.", ge=0
    )
    max_requests: int = setting(256, "Requests in work; beyond it RESOURCE_EXHAUSTED.", ge=1)
    share_by_address: bool = setting(
        default=True,
        description="Connections without a key share one turn for each address; off: each has a turn of its own.",
    )
    max_streams: int = setting(256, "Open translation streams.", ge=1, le=4096)
    max_watches: int = setting(
        64, "Open Health/Watch calls of callers with a key, and as many of callers without one.", ge=1, le=1024
    )
    receive_seconds: float = setting(30.0, "Time for a request message to arrive.", gt=0, le=_MOST_SECONDS)
    stream_config_seconds: float = setting(30.0, "Time for the first message of a stream.", gt=0, le=_MOST_SECONDS)
    stream_idle_seconds: float = setting(600.0, "Time between two messages of a stream.", gt=0, le=_MOST_SECONDS)
    max_connections: int = setting(1_000, "Further connections are closed at once.", ge=1)
    handshake_seconds: float = setting(
        10.0, "Time for the TLS handshake, and to acknowledge HTTP/2's settings.", gt=0, le=_MOST_SECONDS
    )
    max_calls_per_connection: int = setting(1024, "Calls of one connection; further calls wait in the client.", ge=1)
    connection_idle_seconds: float = setting(
        300.0, "Time without a call after which a connection is closed.", gt=0, le=_MOST_SECONDS
    )
    connection_age_seconds: float = setting(
        14_400.0, "Age at which the client of a connection is told to reconnect.", gt=0, le=_MOST_SECONDS
    )
    connection_grace_seconds: float = setting(
        3_600.0, "Time that the calls of that connection then have to end.", gt=0, le=_MOST_SECONDS
    )
    keepalive_seconds: float = setting(60.0, "Silence after which a client is pinged.", ge=10, le=_MOST_SECONDS)
    keepalive_timeout_seconds: float = setting(
        20.0, "Time for the answer to a ping; without one the connection is closed.", ge=1, le=_MOST_SECONDS
    )
    drain_seconds: float = setting(30.0, "Time for running calls to finish at the end.", ge=0, le=_MOST_SECONDS)
    log_format: LogFormat = setting(LogFormat.CONSOLE, "Format of log lines.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting(
        "INFO", "DEBUG, INFO, WARNING or ERROR; DEBUG logs health checks too."
    )
    log_ok_share: float = setting(1.0, "Share of the calls with status OK that are logged.", ge=0, le=1)
    metrics: str = setting("127.0.0.1:9464", "Address of /metrics, /livez and /readyz; empty turns them off.")
    otlp_endpoint: str | None = setting(
        None,
        "OTLP collector of traces over gRPC, such as http://127.0.0.1:4317.",
        pattern="^(https?://.+)?$",
        rule="an address such as http://127.0.0.1:4317",
        shown="none, or OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    trace_share: float = setting(
        0.01, "Share of the calls that begin a trace; a caller's own trace is recorded if it says so.", ge=0, le=1
    )

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

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_switch(cls, value: object, info: ValidationInfo) -> object:
        """Refuses `max_requests = true`, which pydantic takes for 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"is {str(value).lower()}; only switches take true and false")
        return value

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        return check_address(value)

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: str) -> str:
        if value.startswith("unix:"):
            raise ValueError("write HOST:PORT or [IPV6]:PORT; leave it empty for no metrics")
        return check_address(value) if value else value

    @field_validator("otlp_endpoint")
    @classmethod
    def _check_collector(cls, value: str | None) -> str | None:
        return check_collector(value) if value else value

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
        parse_toml(config.read_bytes().decode("utf-8"))
    except (TomlError, UnicodeDecodeError) as error:
        raise ValueError(f"{config}: is no TOML file: {error}") from None
    return _FileSettings(**given)
