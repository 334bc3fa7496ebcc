"""What can be removed from the cache: leftovers, old exports, the least recently used; planned first, then done."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import TEMPORARY
from appmetrica_frames.util.temporary import find_abandoned_directories

from . import time_zones
from .leases import RECORD, is_in_use, is_leased, used_at
from .store import (
    PENDING,
    LocalStore,
    is_current,
    key_of,
    load_export,
    load_pending_job,
    own_files,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from .entry import CachedExport
    from .index import IndexedExport

TIME_ZONES = re.compile(rf"{re.escape(time_zones.FILE)}(?:\.[0-9a-f]{{32}}{re.escape(TEMPORARY)})?")
OLDER_LAYOUT = "v1"
OLDER_FILE = re.compile(
    r"[a-z0-9_]+/[0-9a-f]{32}/(?:(?:entry|pending)\.json(?:\.[0-9a-f]{32}\.tmp)?"
    r"|[0-9a-f]{32}\.(?:parquet|lent|(?:parquet|part\d+)\.tmp))|locks/[0-9a-f]{32}\.lock"
)


def find_expired(exports: Iterable[CachedExport], *, fetched_before: float) -> list[CachedExport]:
    """Return the exports that were fetched before an instant."""
    return [export for export in exports if export.times.fetched_at < fetched_before]


def find_least_recently_used(exports: Iterable[CachedExport], *, max_bytes: int, now: float) -> list[CachedExport]:
    """Return the least recently used exports whose removal leaves at most `max_bytes`; leased ones stay."""
    ordered = sorted(exports, key=lambda export: used_at(export.path.with_name(RECORD)))
    excess = sum(export.size for export in ordered) - max_bytes
    chosen = []
    for export in ordered:
        if excess > 0 and not is_leased(export.path, now):
            chosen.append(export)
            excess -= export.size
    return chosen


def evict(store: LocalStore, *, max_bytes: int, now: float, keep: Collection[Path]) -> None:
    """Remove the least recently used exports until at most `max_bytes` are left, but never one in a folder of `keep`.

    The index gives sizes and an order; the record is read only of an export that is about to go.
    """
    excess = store.index.total() - max_bytes
    if excess <= 0:
        return
    for folder, size, _ in _by_last_use(store):
        if excess <= 0:
            return
        if _evict_one(store, folder, now, keep):
            excess -= size


def _by_last_use(store: LocalStore) -> Iterator[IndexedExport]:
    """Yield the indexed exports by their last use, which is noted on their records and may be later than indexed."""
    later: list[tuple[float, str, IndexedExport]] = []
    for indexed in store.index.least_recently_used():
        while later and later[0][0] <= indexed.used_at:
            yield heappop(later)[-1]
        last_use = used_at(indexed.folder / RECORD)
        if last_use > indexed.used_at:
            heappush(later, (last_use, str(indexed.folder), indexed))
        else:
            yield indexed
    while later:
        yield heappop(later)[-1]


def _evict_one(store: LocalStore, folder: Path, now: float, keep: Collection[Path]) -> bool:
    """Remove the export of a folder unless it is leased or to be kept; tell whether it is gone."""
    if folder in keep:
        return False
    try:
        export = load_export(folder)
    except (OSError, ValueError):
        store.index.remove(folder)
        return True
    return not is_leased(export.path, now) and remove_export(store, export, now=now, only_idle=True, keep=keep)


def remove_export(
    store: LocalStore,
    export: CachedExport,
    *,
    now: float | None = None,
    only_idle: bool = False,
    keep: Collection[Path] = (),
) -> bool:
    """Remove an export, unless another process is replacing it.

    Parameters
    ----------
    now
        If given, files of earlier versions stay as long as somebody may use them.
    only_idle
        Leave an export alone that has been leased meanwhile.
    keep
        Folders that are left alone. Another thread may add some: whoever fetches an export does so under its lock.
    """
    folder = export.path.parent
    with store.locks.try_acquire(export.key) as acquired:
        is_wanted = folder in keep or (only_idle and now and is_leased(export.path, now))
        if not acquired or is_wanted or not is_current(export):
            return False
        # The record goes first: without it the files belong to nothing, and a crash in between leaves a miss.
        _remove(folder / RECORD)
        store.index.remove(folder)
        for path in own_files(folder):
            parquet, is_own = _parquet_of(path), _version_of(path) == export.version
            # A lease that was taken between the two looks found no record afterwards, or is respected here.
            leased = only_idle and now is not None and is_leased(parquet, now)
            if not leased and (now is None or is_own or not is_in_use(parquet, now)):
                _remove(path)
        _remove_empty(folder)
    return True


def find_leftovers(store: LocalStore, now: float) -> list[Path]:
    """Return the files that belong to no export: of crashes, replaced versions, damaged records, older layouts.

    Nothing is written, not even a lock file.
    """
    found = [
        path
        for folder in store.folders()
        if not store.locks.is_held(key_of(folder))
        for path in _leftovers_in(folder, now)
    ]
    abandoned = [path for folder in find_abandoned_directories(now) for path in _files_below(folder)]
    return found + find_time_zones(store, only_temporary=True) + _older_layout(store) + abandoned


def find_time_zones(store: LocalStore, *, only_temporary: bool = False) -> list[Path]:
    """Return the file of the applications' time zones, and what interrupted writes have left beside it."""
    pattern = f"{time_zones.FILE}.*{TEMPORARY}" if only_temporary else f"{time_zones.FILE}*"
    return [path for path in sorted(store.root.glob(pattern)) if TIME_ZONES.fullmatch(path.name) and path.is_file()]


def remove_time_zones(store: LocalStore) -> None:
    """Forget the time zones of applications."""
    for path in find_time_zones(store):
        _remove(path)


def remove_leftovers(store: LocalStore, paths: Iterable[Path], now: float) -> None:
    """Remove leftovers, and the folders that hold nothing else."""
    planned = set(paths)
    for folder in list(store.folders()):
        with store.locks.try_acquire(key_of(folder)) as acquired:
            if acquired:  # and once more: a leftover of the plan may have become an export
                for path in planned.intersection(_leftovers_in(folder, now)):
                    _remove(path)
                _remove_empty(folder)
    for path in planned.intersection(find_time_zones(store, only_temporary=True) + _older_layout(store)):
        _remove(path)
    _remove_empty_tree(store.directory / OLDER_LAYOUT)
    for folder in find_abandoned_directories(now):
        if planned.issuperset(_files_below(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _leftovers_in(folder: Path, now: float) -> Iterator[Path]:
    try:
        current = load_export(folder).version
    except (FileNotFoundError, ValueError):
        current = None
    except OSError:
        return  # as long as the record cannot be read, nobody knows what belongs to it
    for path in own_files(folder):
        if _is_leftover(path, current, now):
            yield path


def _is_leftover(path: Path, current: str | None, now: float) -> bool:
    if path.name == RECORD:
        return current is None
    if path.name == PENDING:
        job = load_pending_job(path.parent)
        return job is None or not now - DAY <= job.requested_at <= now
    if path.name.endswith(TEMPORARY):
        return True
    return _version_of(path) != current and not is_in_use(_parquet_of(path), now)


def _older_layout(store: LocalStore) -> list[Path]:
    root = store.directory / OLDER_LAYOUT
    return [path for path in _files_below(root) if OLDER_FILE.fullmatch(path.relative_to(root).as_posix())]


def _files_below(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return []


def _version_of(path: Path) -> str:
    return path.name.split(".")[0]


def _parquet_of(path: Path) -> Path:
    return path.with_name(f"{_version_of(path)}.parquet")


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError, PermissionError, IsADirectoryError):  # gone already; or open, on Windows
        path.unlink()


def _remove_empty(folder: Path) -> None:
    """Remove the folder of an export, and that of its request, where nothing is left in them."""
    _remove_one(folder)
    _remove_one(folder.parent)


def _remove_empty_tree(folder: Path) -> None:
    """Remove a folder and those below it, as far as they are empty."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            _remove_one(path)
    _remove_one(folder)


def _remove_one(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
