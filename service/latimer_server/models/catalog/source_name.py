"""Source names: parses and checks the key `source` of a catalogue entry, such as `hub:owner/name@revision`."""

from __future__ import annotations

import re

_FORMS = {
    "hub": (r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@\w[\w./-]*)?", "hub:owner/name or hub:owner/name@revision"),
    "mozilla": (r"[a-z]{2,3}(_[a-z]+)?-[a-z]{2,3}(_[a-z]+)?", "mozilla:de-en, the pair as Mozilla's registry names it"),
    "wheel": (r"[A-Za-z0-9][\w.-]*==[\w.!+]+", "wheel:distribution==version"),
    "dir": (r".+", "dir:path"),
}


def source_kind(source: str) -> str:
    """Returns the part before the colon: `hub`, `mozilla`, `wheel` or `dir`; "" for a model without files."""
    return source.partition(":")[0]


def source_location(source: str) -> str:
    """Returns the part after the first colon."""
    return source.partition(":")[2]


def check_source(source: str) -> None:
    """Raises ValueError if a source is malformed. An empty source is valid."""
    if not source:
        return
    if source_kind(source) not in _FORMS:
        raise ValueError(f"must begin with one of {', '.join(kind + ':' for kind in _FORMS)}")
    pattern, form = _FORMS[source_kind(source)]
    if not re.fullmatch(pattern, source_location(source)):
        raise ValueError(f"must be written {form}")


def parse_hub_source(source: str) -> tuple[str, str]:
    """Returns the repository and the revision of a `hub:` source. The default revision is `main`."""
    repo, _, revision = source_location(source).partition("@")
    return repo, revision or "main"
