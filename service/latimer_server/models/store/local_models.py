"""What the files on disk make of the catalogue now: which models are fetched, and what languages each serves.

Asked on every request, so it looks at the disk only a little: knows entries and the store; nothing of what is
loaded.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from latimer_server.core.errors import ModelError
from latimer_server.models.catalog.catalog import Catalog, CatalogEntry, Task
from latimer_server.models.sources.file_layout import is_weights
from latimer_server.models.store.language_tokens import (
    are_several,
    choose_served,
    find_styles,
    is_told_its_source,
    list_token_files,
    map_languages,
    scan_tokens,
)
from latimer_server.models.store.record import Record
from latimer_server.models.store.store import Store

_log = logging.getLogger(__name__)

# How old an answer may be. A look at 120 fetched models takes a millisecond.
MAX_AGE_SECONDS = 0.5
# Two changes of a folder within a tick of the file system's clock have one time; of a folder that changed so
# lately nothing is concluded from its time.
_RACY_NANOSECONDS = 2_000_000_000
# No vocabulary is larger; a file that is must not be read on somebody's request.
_MAX_TOKEN_FILE_BYTES = 64 << 20

# The times of the folders that a model's files lie in, None for one that is not there.
FolderStamp = tuple[int | None, ...]


@dataclass(frozen=True)
class LocalModel:
    """A model as its files have it. `entry`: the catalogue's, with the languages that are really served.

    `tokens`: the model's own names of its languages, by the entry's codes. `error`: why it serves nothing though
    its files are there. `stamp` changes when files come or go. `weights_sha256`: "" where there are no weights, the
    digest is not known, or there are several files of them.
    """

    entry: CatalogEntry
    fetched: bool
    tokens: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    stamp: FolderStamp = ()
    weights_sha256: str = ""


@dataclass
class _CachedLookup:
    local: LocalModel
    folders: tuple[str, ...]
    looked_at: float
    racy: bool


class LocalModels:
    """The holdings of a catalogue. Not thread-safe."""

    def __init__(self, catalog: Catalog, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._store = store
        self._clock = clock
        self._lookups: dict[str, _CachedLookup] = {}

    def get(self, name: str) -> LocalModel:
        """The holding of a model, at most half a second old. Raises `NotServed` when there is none of this name."""
        get = self._lookups.get(name)
        if get is not None and self._clock() - get.looked_at < MAX_AGE_SECONDS:
            return get.local
        return self.refresh(name)

    def refresh(self, name: str) -> LocalModel:
        """The holding of a model now."""
        entry = self._catalog.get(name)
        get = self._lookups.get(name)
        if get and not get.racy and _read_times(get.folders) == get.local.stamp:
            get.looked_at = self._clock()
            return get.local
        now = time.time_ns()
        try:
            folders = _list_folders(entry, self._store)
            stamp = _read_times(folders)
            local = self._make_holding(entry, stamp, get.local if get else None)
        except ModelError as error:  # what the store wrote down about it cannot be read
            folders = (str(self._store.folder(entry)),)
            stamp = _read_times(folders)
            local = LocalModel(entry, fetched=True, error=str(error), stamp=stamp)
        racy = any(changed is not None and now - changed < _RACY_NANOSECONDS for changed in stamp)
        self._lookups[name] = _CachedLookup(local, folders, self._clock(), racy)
        return local

    def _make_holding(self, entry: CatalogEntry, stamp: FolderStamp, last: LocalModel | None) -> LocalModel:
        if not self._store.has(entry):
            return LocalModel(entry, fetched=False, stamp=stamp, weights_sha256=entry.sha256)
        record = self._store.record(entry)
        if record and record.revision and not entry.revision:
            entry = entry.model_copy(update={"revision": record.revision})
        lacking: list[str] = []
        made = LocalModel(entry, fetched=True, tokens=entry.language_tokens)
        if entry.task is Task.TRANSLATION:
            made, lacking = self._find_languages(entry)
        if last and last.fetched and made.entry == last.entry and made.tokens == last.tokens:
            # The same object, by which those who keep what follows from it know that nothing changed.
            made = replace(made, entry=last.entry)
        elif lacking:
            extra = {"model": entry.name, "languages": " ".join(lacking)}
            _log.warning("its vocabulary lacks languages that the catalogue lists", extra=extra)
        return replace(made, stamp=stamp, weights_sha256=_find_digest(entry, record))

    def _find_languages(self, entry: CatalogEntry) -> tuple[LocalModel, list[str]]:
        """The holding of a translation model, and the listed languages that its vocabulary lacks."""
        folder, located = self._store.folder(entry), self._store.locate(entry)
        styles = find_styles(_read_model_type(folder, located), entry.family)
        found = {style: _read_names(style, folder, located) for style in styles}
        style = next((style for style in styles if found[style]), next(iter(styles), None))
        made, lacking = LocalModel(entry, fetched=True, tokens=entry.language_tokens), list[str]()
        if style:
            made, lacking = _resolve(entry, style, found[style])
        if entry.source and not made.tokens and not made.error and are_several(entry.target_languages):
            listed = ", ".join(entry.target_languages)
            problem = f"the catalogue lists several target languages ({listed}), and nothing tells {entry.name} which"
            made = replace(made, error=f"{problem}: its vocabulary has no language tokens")
        return made, lacking


def _find_digest(entry: CatalogEntry, record: Record | None) -> str:
    """The digest of the weights: the catalogue's, or what was recorded when they were fetched."""
    files = record.files if record else {}
    if entry.sha256 or "model" in files:
        return entry.sha256 or files["model"].sha256
    digests = [file.sha256 for file in files.values() if is_weights(file.path)]
    return digests[0] if len(digests) == 1 else ""


def _resolve(entry: CatalogEntry, style: str, names: set[str]) -> tuple[LocalModel, list[str]]:
    """The holding of an entry whose vocabulary has the tokens `names`, and the listed languages that it lacks."""
    # The catalogue names what does not follow from the token, and may name no more than that.
    named = {code: token for code, token in entry.language_tokens.items() if not names or token in names}
    mapping = map_languages(style, names) | named
    if not mapping:  # one target language, which goes without saying
        lacking = list(entry.language_tokens)
        return LocalModel(entry, fetched=True, error=_explain_lack(entry, lacking) if lacking else ""), lacking
    targets, lacking = choose_served(entry.target_languages, mapping)
    tokens = dict(targets)
    keys: dict[str, object] = {"target_languages": tuple(targets)}
    if is_told_its_source(style):
        sources, missing = choose_served(entry.source_languages, mapping)
        tokens |= sources
        lacking += [code for code in missing if code not in lacking]
        keys["source_languages"] = tuple(sources)
    if not all(keys.values()):
        return LocalModel(entry, fetched=True, error=_explain_lack(entry, lacking)), lacking
    return LocalModel(entry.model_copy(update=keys), fetched=True, tokens=tokens), lacking


def _explain_lack(entry: CatalogEntry, lacking: list[str]) -> str:
    return f"the vocabulary of {entry.name} has none of the languages that the catalogue lists: {', '.join(lacking)}"


def _read_model_type(folder: Path, located: Mapping[str, Path]) -> str:
    """What config.json calls the model; "" without one, and for what is none."""
    places = {path.name: path for path in located.values()}
    for data in _read_all([places.get("config.json", folder / "config.json")]):
        with suppress(ValueError, RecursionError):
            config = json.loads(data)
            model_type = config.get("model_type") if isinstance(config, dict) else None
            return model_type if isinstance(model_type, str) else ""
    return ""


def _read_names(style: str, folder: Path, located: Mapping[str, Path]) -> set[str]:
    places = {path.name: path for path in located.values()}
    for group in list_token_files(style):
        paths = [places.get(name, folder / name) for name in group]
        names = {name for data in _read_all(paths) for name in scan_tokens(style, data)}
        if names:
            return names
    return set()


def _read_all(paths: list[Path]) -> Iterator[bytes]:
    """The content of the files that are there; what is wrong with one, loading the model will say."""
    for path in paths:
        try:
            if path.stat().st_size <= _MAX_TOKEN_FILE_BYTES:
                yield path.read_bytes()
        except OSError:
            continue


def _list_folders(entry: CatalogEntry, store: Store) -> tuple[str, ...]:
    """Where files of the model come and go."""
    folders = [store.folder(entry), *(path.parent for path in store.locate(entry).values())]
    return tuple(dict.fromkeys(map(str, folders)))


def _read_times(folders: tuple[str, ...]) -> FolderStamp:
    return tuple(map(_read_time, folders))


def _read_time(folder: str) -> int | None:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 (asked hundreds of times a second)
    except OSError:
        return None
