"""The interface of sources: a fetcher brings the files of models into folders of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import cast

from latimer_server.models.catalog.entry import CatalogEntry
from latimer_server.models.catalog.source_kinds import SourceKind
from latimer_server.models.sources.download import FetchProgress
from latimer_server.models.sources.fetched import Fetched


@dataclass(frozen=True)
class FetchContext:
    """What a fetcher may use besides the entries. `root`: the store. `mozilla_registry`: the URL of the registry."""

    root: Path
    mozilla_registry: str
    progress: FetchProgress


# Fetches the files of each entry into its folder, and yields the entries one by one as they are complete. Raises
# `ModelError` or `ModelFileError` with a message of one line that names the model and the file.
Fetcher = Callable[[Sequence[tuple[CatalogEntry, Path]], FetchContext], Iterator[tuple[CatalogEntry, Fetched]]]


def load_fetcher(kind: SourceKind) -> Fetcher:
    """Imports the fetcher of a kind of source: serving loads models from the store too, and needs no HTTP client."""
    return cast(Fetcher, resolve_name(kind.fetcher))
