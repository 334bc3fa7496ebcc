"""The cache, as its owner sees it: list, look at, remove."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appmetrica_frames.errors import InvalidRequestError
from appmetrica_frames.schema import catalog
from appmetrica_frames.util import config
from appmetrica_frames.util.caller import raise_at_caller
from appmetrica_frames.util.durations import Duration, to_seconds

from . import eviction
from .integrity import is_damaged, is_intact
from .leases import RECORD, forget_checked
from .store import LocalStore, load_export

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from pathlib import Path

    import polars as pl

    from .entry import CachedExport


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """The cache as a whole.

    Attributes
    ----------
    directory : pathlib.Path
        Where it is kept.
    exports, rows : int
        Number of exports, and of the rows in all of them.
    size : int
        Bytes on disk.
    """

    directory: Path
    exports: int
    rows: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """What was removed, or would be.

    Attributes
    ----------
    exports : tuple of CachedExport
        Exports that were removed.
    leftovers : tuple of pathlib.Path
        Files that belong to no export: of interrupted downloads, of replaced versions, of damaged records,
        of older layouts of the cache; with `Cache.clear`, the remembered time zones.
    size : int
        Bytes freed.
    dry_run : bool
        Whether nothing was removed.
    """

    exports: tuple[CachedExport, ...]
    leftovers: tuple[Path, ...] = ()
    size: int
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """Which cached exports are, bit for bit, what was fetched.

    Attributes
    ----------
    intact : tuple of CachedExport
        Exports that are.
    damaged : tuple of pathlib.Path
        Parquet files and records that are not.
    """

    intact: tuple[CachedExport, ...]
    damaged: tuple[Path, ...]


class Cache:
    """The local cache of exports.

    Parameters
    ----------
    directory : path-like, optional
        Default: ``APPMETRICA_CACHE_DIR``, else the user's cache directory.

    Examples
    --------
    >>> from appmetrica_frames import Cache
    >>> Cache("exports").directory.name
    'exports'
    """

    @raise_at_caller
    def __init__(self, directory: str | PathLike[str] | None = None) -> None:
        self._store = LocalStore(config.resolve_cache_directory(directory))

    def __repr__(self) -> str:
        return f"Cache({str(self.directory)!r})"

    @property
    def directory(self) -> Path:
        """Where the cache is kept."""
        return self._store.directory

    @raise_at_caller
    def ls(self, *, resource: str | None = None) -> pl.DataFrame:
        """List what the cache holds, the latest fetched first, and the jobs that the server has accepted.

        Parameters
        ----------
        resource : str, optional
            Exports of this resource only.

        Returns
        -------
        polars.DataFrame
            One row per export: ``key``, ``resource``, ``application_id`` (UInt64), ``since`` and ``until`` (Datetime,
            in the application's time zone), ``state`` (``"cached"``, or ``"pending"``: the same call resumes the job),
            ``rows`` and ``bytes`` (UInt64), ``age`` (Duration, since the earliest instant at which the server can have
            built the file; of a pending job, since it was requested), ``fields``, ``filters`` and ``options`` (lists
            of text), ``fetched_at`` (Datetime, UTC) and ``path``. It is shown whole.

        Raises
        ------
        InvalidRequestError
            If there is no such resource.

        See Also
        --------
        exports : the same exports as objects

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> Cache().ls().select("resource", "application_id", "state").rows()
        [('push_tokens', 1111, 'cached')]
        """
        from .listing import build_frame

        return build_frame(self._store, resource, time.time())

    @raise_at_caller
    def exports(self, *, resource: str | None = None) -> list[CachedExport]:
        """Return the cached exports, the latest fetched first.

        Parameters
        ----------
        resource : str, optional
            Exports of this resource only.

        Returns
        -------
        list of CachedExport

        Raises
        ------
        InvalidRequestError
            If there is no such resource.

        See Also
        --------
        ls : a frame to look at

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> [export.resource for export in Cache().exports()]
        ['push_tokens']
        """
        return sorted(self._load(resource), key=lambda export: export.fetched_at, reverse=True)

    @raise_at_caller
    def info(self) -> CacheInfo:
        """Count the exports, their rows and their bytes.

        Returns
        -------
        CacheInfo

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> info = Cache().info()
        >>> (info.exports, info.rows == tokens.height)
        (1, True)
        """
        exports = self.exports()
        return CacheInfo(
            directory=self.directory,
            exports=len(exports),
            rows=sum(export.rows for export in exports),
            size=sum(export.size for export in exports),
        )

    @raise_at_caller
    def verify(self) -> VerifyResult:
        """Read every cached file and compare it with its checksum. Nothing is removed; `prune` does that.

        Returns
        -------
        VerifyResult

        Examples
        --------
        >>> from appmetrica_frames import Cache
        >>> Cache().verify().damaged
        ()
        """
        intact, damaged, records = self._check_all()
        for export in damaged:
            forget_checked(export.path)
        paths = [*records, *(export.path for export in damaged)]
        return VerifyResult(intact=tuple(intact), damaged=tuple(sorted(paths)))

    @raise_at_caller
    def prune(
        self, *, max_bytes: int | None = None, older_than: Duration | None = None, dry_run: bool = False
    ) -> PruneResult:
        """Remove what nobody needs: leftovers and damaged exports always, old or rarely used exports if asked.

        Parameters
        ----------
        max_bytes : int, optional
            Remove the least recently used exports until at most so many bytes are left. An export whose path was
            given to a LazyFrame or by `download_appmetrica` within the last day stays.
        older_than : float or timedelta, optional
            Remove exports that were fetched more than so many seconds ago.
        dry_run : bool, default False
            Report what would be removed, and write nothing.

        Returns
        -------
        PruneResult
            The exports and leftovers removed, and the bytes freed.

        Raises
        ------
        InvalidRequestError
            If ``max_bytes`` or ``older_than`` is not valid.

        Examples
        --------
        >>> from datetime import timedelta
        >>> from appmetrica_frames import Cache
        >>> plan = Cache().prune(older_than=timedelta(days=30), dry_run=True)
        >>> (plan.exports, plan.size)
        ((), 0)
        """
        now = time.time()
        age = None if older_than is None else to_seconds(older_than, name="older_than")
        limit = None if max_bytes is None else config.check_byte_count(max_bytes)
        intact, suspect, _ = self._check_all()
        chosen = [export for export in suspect if is_damaged(export)]
        known = intact + _without(suspect, chosen)
        if age is not None:
            chosen += eviction.find_expired(known, fetched_before=now - age)
        if limit is not None:
            chosen += eviction.find_least_recently_used(_without(known, chosen), max_bytes=limit, now=now)
        leftovers = eviction.find_leftovers(self._store, now)
        size = sum(map(_size, leftovers))
        if not dry_run:
            eviction.remove_leftovers(self._store, leftovers, now)
            chosen = [export for export in chosen if eviction.remove_export(self._store, export, now=now)]
            self._store.index.rebuild()
        size += sum(export.size for export in chosen)
        return PruneResult(exports=tuple(chosen), leftovers=tuple(leftovers), size=size, dry_run=dry_run)

    @raise_at_caller
    def remove(self, *, key: str | None = None, resource: str | None = None, dry_run: bool = False) -> PruneResult:
        """Remove the export of a key, or the exports of a resource.

        Parameters
        ----------
        key : str, optional
            The export's name in the cache, as `ls` shows it.
        resource : str, optional
            Remove the exports of this resource.
        dry_run : bool, default False
            Report what would be removed, and write nothing.

        Returns
        -------
        PruneResult
            The exports removed and the bytes freed.

        Raises
        ------
        InvalidRequestError
            If neither is given, or if there is no such resource.

        See Also
        --------
        clear : removes every export

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> removal = Cache().remove(resource="push_tokens")
        >>> [export.rows for export in removal.exports] == [tokens.height]
        True
        """
        if key is None and resource is None:
            raise InvalidRequestError("remove needs key= or resource=; to remove every export, call clear().")
        return self._remove([export for export in self._load(resource) if key in {None, export.key}], dry_run=dry_run)

    @raise_at_caller
    def clear(self, *, dry_run: bool = False) -> PruneResult:
        """Remove every export, and what is remembered of the applications' time zones.

        Parameters
        ----------
        dry_run : bool, default False
            Report what would be removed, and write nothing.

        Returns
        -------
        PruneResult
            The exports removed, the file of time zones and the bytes freed.

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> len(Cache().clear().exports), len(Cache().exports())
        (1, 0)
        """
        zones = eviction.find_time_zones(self._store)
        size = sum(map(_size, zones))
        if not dry_run:
            eviction.remove_time_zones(self._store)
        removed = self._remove(list(self._load()), dry_run=dry_run)
        return replace(removed, leftovers=tuple(zones), size=removed.size + size)

    def _load(self, resource: str | None = None) -> Iterator[CachedExport]:
        return self._store.exports(None if resource is None else catalog.resource(resource).name)

    def _check_all(self) -> tuple[list[CachedExport], list[CachedExport], list[Path]]:
        """Return the intact exports, the damaged or unreadable ones, and the records that describe none."""
        intact: list[CachedExport] = []
        damaged: list[CachedExport] = []
        records: list[Path] = []
        for folder in self._store.folders():
            try:
                export = load_export(folder)
            except FileNotFoundError:
                continue
            except (OSError, ValueError):
                records.append(folder / RECORD)
            else:
                (intact if is_intact(export) else damaged).append(export)
        return intact, damaged, records

    def _remove(self, chosen: list[CachedExport], *, dry_run: bool) -> PruneResult:
        removed = chosen if dry_run else [export for export in chosen if eviction.remove_export(self._store, export)]
        size = sum(export.size for export in removed)
        return PruneResult(exports=tuple(removed), size=size, dry_run=dry_run)


def _without(known: list[CachedExport], chosen: list[CachedExport]) -> list[CachedExport]:
    return [export for export in known if export not in chosen]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
