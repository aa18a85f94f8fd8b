"""Every setting of the server, once: a flag wins over LATIMER_* in the environment, that over the
configuration file, that over the default. Knows nothing of what the settings are for.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import Field, field_validator
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
    """How log lines look."""

    CONSOLE = "console"
    JSON = "json"


def default_store() -> Path:
    """Where model files are kept when nothing says otherwise: the user's data folder."""
    return user_data_path("latimer", appauthor=False) / "models"


def default_model_memory() -> int | None:
    """Half of the memory there is. The other half is for what batches compute, and for the second copy that most
    models need while they are loaded: whoever takes more is ended by the system, in the middle of its calls."""
    memory = available_memory()
    return None if memory is None else memory // 2


def parse_size(text: str) -> int:
    """Bytes of `2GiB`, `500 MB`, `1.5g` or `1000000`. KiB, MiB, GiB, TiB and single letters are powers of 1,024; KB,
    MB, GB, TB of 1,000. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text[:40]!r} is no size; write 2GiB, 500MB or bytes, or unlimited")
    number, unit, binary = found.groups()
    decimal = unit and not binary and text.strip()[-1] in "bB"
    return int(float(number) * (1_000 if decimal else 1_024) ** _POWERS[unit.upper()])


class Settings(BaseSettings):
    """The settings; `docs/operating.md` describes them. Raises pydantic's ValidationError."""

    model_config = SettingsConfigDict(env_prefix="LATIMER_", frozen=True, extra="forbid")

    listen: str = "127.0.0.1:50051"
    store: Path = Field(default_factory=default_store)
    catalog: Path | None = None
    # Where `models fetch` finds Firefox's students.
    mozilla_registry: str = Field(default=MOZILLA_REGISTRY, pattern="^https?://")
    # Names to load at the start; None loads the embedded set.
    models: Annotated[tuple[str, ...] | None, NoDecode] = None
    compute_threads: int = Field(default_factory=available_cores, ge=1, le=1024)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    # Bytes of all loaded models; None: unlimited.
    max_model_memory: int | None = Field(default_factory=default_model_memory, ge=1)
    # Megabytes (1,000,000 bytes) of pieces and what models made of them; 0 keeps none. Off unless asked for: a caller
    # is told, by CACHED and by the time it takes, that somebody sent the same sentence before.
    segment_cache_mb: int = Field(default=0, ge=0)
    # Whether a pair may go through two models.
    pivoting: bool = True
    # Whether LoadModel and UnloadModel are served.
    admin: bool = False
    # Whether the server ends when a model that it was told to load at its start cannot be.
    strict: bool = False
    max_requests: int = Field(default=256, ge=1)
    drain_seconds: float = Field(default=30.0, ge=0)
    log_format: LogFormat = LogFormat.CONSOLE
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    # A file of accepted tokens, one a line; without it every caller is served.
    auth_tokens: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @field_validator("models", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        """Names with commas between, as a flag and the environment have them; "" is none at all."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("max_model_memory", mode="before")
    @classmethod
    def _read_size(cls, value: object) -> object:
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
        """Flags, then the environment, then the file that `load_settings` names."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(config: Path | None, **flags: Any) -> Settings:  # noqa: ANN401 (each flag has its own type)
    """The settings with `config` (TOML) below the environment; flags that are None count as not given."""
    given = {name: value for name, value in flags.items() if value is not None}
    if config is None:
        return Settings(**given)
    if not config.is_file():
        raise FileNotFoundError(f"there is no configuration file {config}")

    class _FileSettings(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    return _FileSettings(**given)
