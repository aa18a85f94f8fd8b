"""Local models: finds out which models of the catalogue are on disk, and which languages their vocabularies serve.

Every request needs this, so results are cached and the disk is checked at most twice a second per model.
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
    choose_served,
    find_styles,
    has_source_tokens,
    list_token_files,
    map_languages,
    need_target_token,
    scan_tokens,
)
from latimer_server.models.store.record import Record
from latimer_server.models.store.store import Store

_log = logging.getLogger(__name__)

# A local model is returned without a new check of the disk for this long. A check of 120 fetched models takes 1 ms.
MAX_AGE_SECONDS = 0.5
# Two changes of a folder within one tick of the file system's clock leave the same modification time. An unchanged time
# is therefore trusted only for folders that were older than this at the check.
_RACY_NANOSECONDS = 2_000_000_000
# Files above this size are not searched for language tokens: they are no vocabularies, and reading one would block a
# request.
_MAX_TOKEN_FILE_BYTES = 64 << 20

# Modification times (nanoseconds) of the folders of a model's files; None for a folder that does not exist.
FolderStamp = tuple[int | None, ...]


@dataclass(frozen=True)
class LocalModel:
    """A catalogue entry and its files on disk.

    `entry`: the catalogue's entry, with the languages that the files serve instead of those that the catalogue lists,
    and with the fetched revision if the catalogue gives none.
    `fetched`: all its files exist, or its record is malformed and `error` says so.
    `tokens`: language tokens without marks, such as `por` for `>>por<<`, by the entry's language codes.
    `error`: why the model cannot be used although its files exist, else "".
    `stamp`: the modification times of its folders, which change when files are added or removed.
    `weights_sha256`: the digest of its weights; "" if it is unknown, or there are no or several weight files.
    """

    entry: CatalogEntry
    fetched: bool
    tokens: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    stamp: FolderStamp = ()
    weights_sha256: str = ""


@dataclass
class _CachedLookup:
    """A local model as the last check of the disk found it.

    `folders`: the folders whose modification times are compared at the next check. `looked_at`: the time of the check
    in seconds of the clock of `LocalModels`. `racy`: a folder changed just before the check, so its modification time
    may stay the same at the next change.
    """

    local: LocalModel
    folders: tuple[str, ...]
    looked_at: float
    racy: bool


class LocalModels:
    """Looks up the local model of each catalogue entry, and caches the results. Not thread-safe.

    `clock`: returns the time in seconds.
    """

    def __init__(self, catalog: Catalog, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._store = store
        self._clock = clock
        self._lookups: dict[str, _CachedLookup] = {}

    def get(self, name: str) -> LocalModel:
        """Returns a local model that was checked at most `MAX_AGE_SECONDS` ago.

        Raises `NotServed` if the name is not in the catalogue.
        """
        cached = self._lookups.get(name)
        if cached is not None and self._clock() - cached.looked_at < MAX_AGE_SECONDS:
            return cached.local
        return self.refresh(name)

    def refresh(self, name: str) -> LocalModel:
        """Checks now whether the model's folders changed, and returns the local model, inspected anew if they did.

        Raises `NotServed` if the name is not in the catalogue.
        """
        entry = self._catalog.get(name)
        cached = self._lookups.get(name)
        if cached and not cached.racy and _read_times(cached.folders) == cached.local.stamp:
            cached.looked_at = self._clock()
            return cached.local
        now = time.time_ns()
        try:
            folders = _list_folders(entry, self._store)
            stamp = _read_times(folders)
            local = self._inspect(entry, stamp, cached.local if cached else None)
        except ModelError as error:  # the store's record is malformed
            folders = (str(self._store.folder(entry)),)
            stamp = _read_times(folders)
            local = LocalModel(entry, fetched=True, error=str(error), stamp=stamp)
        racy = any(changed is not None and now - changed < _RACY_NANOSECONDS for changed in stamp)
        self._lookups[name] = _CachedLookup(local, folders, self._clock(), racy)
        return local

    def _inspect(self, entry: CatalogEntry, stamp: FolderStamp, last: LocalModel | None) -> LocalModel:
        """Reads the model's files and returns the local model of the entry.

        Logs a warning if the vocabulary lacks languages that the catalogue lists, unless the result is the same as
        `last`, the result of the check before.
        """
        if not self._store.has(entry):
            return LocalModel(entry, fetched=False, stamp=stamp, weights_sha256=entry.sha256)
        record = self._store.record(entry)
        if record and record.revision and not entry.revision:
            entry = entry.model_copy(update={"revision": record.revision})
        lacking: list[str] = []
        local = LocalModel(entry, fetched=True, tokens=entry.language_tokens)
        if entry.task is Task.TRANSLATION:
            local, lacking = self._find_languages(entry)
        if last and last.fetched and local.entry == last.entry and local.tokens == last.tokens:
            # Keeps the old entry object: callers compare by identity to see whether their caches are still valid.
            local = replace(local, entry=last.entry)
        elif lacking:
            extra = {"model": entry.name, "languages": " ".join(lacking)}
            _log.warning("the model's vocabulary lacks languages that the catalogue lists", extra=extra)
        return replace(local, stamp=stamp, weights_sha256=_find_digest(entry, record))

    def _find_languages(self, entry: CatalogEntry) -> tuple[LocalModel, list[str]]:
        """Returns the local model of a translation entry, and the listed languages that its vocabulary lacks."""
        folder, located = self._store.folder(entry), self._store.locate(entry)
        styles = find_styles(_read_model_type(folder, located), entry.family)
        names = {style: _read_names(style, folder, located) for style in styles}
        style = next((style for style in styles if names[style]), next(iter(styles), None))
        local, lacking = LocalModel(entry, fetched=True, tokens=entry.language_tokens), list[str]()
        if style:
            local, lacking = _resolve(entry, style, names[style])
        if entry.source and not local.tokens and not local.error and need_target_token(entry.target_languages):
            listed = ", ".join(entry.target_languages)
            problem = f"the vocabulary of {entry.name} has no language token to select one of them"
            local = replace(local, error=f"the catalogue lists several target languages ({listed}), but {problem}")
        return local, lacking


def _find_digest(entry: CatalogEntry, record: Record | None) -> str:
    """Returns the SHA-256 of the weights: the catalogue's, else that of the record.

    Returns "" if neither has one, or if the record has several weight files and none is called `model`.
    """
    files = record.files if record else {}
    if entry.sha256 or "model" in files:
        return entry.sha256 or files["model"].sha256
    digests = [file.sha256 for file in files.values() if is_weights(file.path)]
    return digests[0] if len(digests) == 1 else ""


def _resolve(entry: CatalogEntry, style: str, names: set[str]) -> tuple[LocalModel, list[str]]:
    """Returns the local model of an entry, and the codes that the catalogue lists but the model's vocabulary lacks.

    `names`: the language tokens in the vocabulary, without marks, in the given `style`.
    """
    # The catalogue's tokens override those that follow from the names, but only if the vocabulary has them.
    overrides = {code: token for code, token in entry.language_tokens.items() if not names or token in names}
    mapping = map_languages(style, names) | overrides
    if not mapping:  # a model with a single target language needs no token
        lacking = list(entry.language_tokens)
        return LocalModel(entry, fetched=True, error=_explain_lack(entry, lacking) if lacking else ""), lacking
    targets, lacking = choose_served(entry.target_languages, mapping)
    tokens = dict(targets)
    keys: dict[str, object] = {"target_languages": tuple(targets)}
    if has_source_tokens(style):
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
    """Returns the `model_type` of config.json; "" if the file or the key is missing or malformed."""
    paths_by_name = {path.name: path for path in located.values()}
    for data in _read_all([paths_by_name.get("config.json", folder / "config.json")]):
        with suppress(ValueError, RecursionError):
            config = json.loads(data)
            model_type = config.get("model_type") if isinstance(config, dict) else None
            return model_type if isinstance(model_type, str) else ""
    return ""


def _read_names(style: str, folder: Path, located: Mapping[str, Path]) -> set[str]:
    """Returns the language tokens, without marks, in the model's vocabulary files; an empty set if there are none."""
    paths_by_name = {path.name: path for path in located.values()}
    for group in list_token_files(style):
        paths = [paths_by_name.get(name, folder / name) for name in group]
        names = {name for data in _read_all(paths) for name in scan_tokens(style, data)}
        if names:
            return names
    return set()


def _read_all(paths: list[Path]) -> Iterator[bytes]:
    """Yields the bytes of each file that can be read and has at most `_MAX_TOKEN_FILE_BYTES`.

    Skips the others: loading the model reports unreadable files.
    """
    for path in paths:
        try:
            if path.stat().st_size <= _MAX_TOKEN_FILE_BYTES:
                yield path.read_bytes()
        except OSError:
            continue


def _list_folders(entry: CatalogEntry, store: Store) -> tuple[str, ...]:
    """Returns the folders whose modification times change when files of the model are added or removed."""
    folders = [store.folder(entry), *(path.parent for path in store.locate(entry).values())]
    return tuple(dict.fromkeys(map(str, folders)))


def _read_times(folders: tuple[str, ...]) -> FolderStamp:
    return tuple(map(_read_time, folders))


def _read_time(folder: str) -> int | None:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 (called hundreds of times a second)
    except OSError:
        return None
