"""Writes all settings for people: a sample configuration file, and their table in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from latimer_server.config.settings import Settings

_INTRODUCTION = """\
# A sample configuration: latimer-server serve --config FILE
# Every setting with its default. Remove the `#` in front of those that you change. An environment variable
# LATIMER_NAME and an option --name take precedence. `latimer-server config sample` prints this file.
"""
# A value for settings that have none by default.
_EXAMPLES = {
    "keys": "/etc/latimer/keys.toml",
    "auth_tokens": "/etc/latimer/tokens",
    "tls_certificate": "/etc/latimer/tls.crt",
    "tls_key": "/etc/latimer/tls.key",
    "tls_client_ca": "/etc/latimer/clients.crt",
    "quota_store": "redis://127.0.0.1:6379/0",
    "store": "/var/lib/latimer/models",
    "catalog": "/etc/latimer/catalog.toml",
    "models": ["firefox-en-pt", "firefox-pt-en"],
    "max_model_memory": "2GiB",
    "compute_threads": 4,
    "otlp_endpoint": "http://127.0.0.1:4317",
}

# User and password of a URL (RFC 3986, section 3.2.1), up to the last `@` before the path.
_USER_INFO = re.compile(r"(?<=://)[^/?#\s]*(?=@)")


def write_sample() -> str:
    """Returns a TOML file with all settings, commented out."""
    lines = [_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        shown = _find_shown(field)
        lines.append(f"\n# {field.description}{f' Default: {shown}.' if shown else ''}\n")
        lines.append(f"# {name} = {format_toml(_EXAMPLES.get(name, field.default))}\n")
    return "".join(lines)


def list_rows() -> Iterator[str]:
    """Yields the rows of the table of settings in the documentation (Markdown)."""
    for name, field in Settings.model_fields.items():
        default = _find_shown(field) or f"`{show_value(field.default)}`"
        yield f"| `{name}` | {default} | {field.description} |\n"


def show_default(name: str) -> str:
    """Returns the default of a setting in words."""
    field = Settings.model_fields[name]
    return _find_shown(field) or show_value(field.default)


def show_value(value: object) -> str:
    """Returns a value as people write it. Secrets are hidden, also user and password in a URL."""
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        return "(hidden)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return _USER_INFO.sub("(hidden)", str(value.value if isinstance(value, Enum) else value))


def format_toml(value: object) -> str:
    """Returns a value in TOML."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(format_toml, value))}]"
    return f'"{value}"'


def _find_shown(field: FieldInfo) -> str:
    extra: Any = field.json_schema_extra
    return str(extra["shown"]) if isinstance(extra, dict) and "shown" in extra else ""
