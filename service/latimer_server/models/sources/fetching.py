"""The interface of sources: a fetcher downloads or copies the files of models into folders of the store."""

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
    """The parameters that all models of a fetch share.

    `root`: the folder of the store. `mozilla_registry`: the URL of Mozilla's model registry. `progress`: is called as
    bytes arrive.
    """

    root: Path
    mozilla_registry: str
    progress: FetchProgress


# A function that gets pairs of a catalogue entry and a staging folder. It writes the files of each entry into its
# folder, and yields each entry with its result as soon as it is complete. Raises `ModelError` or `ModelFileError` with
# a message of one line that names the model and the file.
Fetcher = Callable[[Sequence[tuple[CatalogEntry, Path]], FetchContext], Iterator[tuple[CatalogEntry, Fetched]]]


def load_fetcher(kind: SourceKind) -> Fetcher:
    """Imports and returns the fetcher of a kind of source.

    It is imported only for a fetch: the serving process uses the store too, but needs no HTTP client.
    """
    return cast(Fetcher, resolve_name(kind.fetcher))
