"""The store, as its owner sees it: list, look at, remove."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from appmetrica_frames.errors import CacheWarning
from appmetrica_frames.schema import catalog
from appmetrica_frames.util import config
from appmetrica_frames.util.durations import Duration, seconds

from . import eviction as pruning
from .eviction import Stored
from .store import RECORD, Store, is_damaged, is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedExport:
    """One stored export.

    Attributes
    ----------
    key : str
        Its name in the store.
    resource : str
        What was exported.
    request : dict
        The wire parameters that were sent.
    path : pathlib.Path
        Its Parquet file.
    rows, size : int
        Number of rows; bytes on disk.
    built_not_before, stored_at : datetime
        UTC: the earliest instant at which the server can have built it; when it was stored here.
    """

    key: str
    resource: str
    request: dict[str, Any]
    path: Path
    rows: int
    size: int
    built_not_before: datetime
    stored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """The store as a whole.

    Attributes
    ----------
    directory : pathlib.Path
        Where it is.
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
    """What is removed, or would be.

    Attributes
    ----------
    exports : tuple of CachedExport
        Exports that go.
    leftovers : tuple of pathlib.Path
        Files that belong to no export: of interrupted downloads, of replaced generations, of damaged records.
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
    """Which stored exports are, bit for bit, what was stored.

    Attributes
    ----------
    sound : tuple of CachedExport
        Exports that are.
    damaged : tuple of pathlib.Path
        Parquet files and records that are not.
    """

    sound: tuple[CachedExport, ...]
    damaged: tuple[Path, ...]


class Cache:
    """The local store of exports.

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

    def __init__(self, directory: str | PathLike[str] | None = None) -> None:
        self._store = Store(config.cache_directory(directory))

    def __repr__(self) -> str:
        return f"Cache({str(self.directory)!r})"

    @property
    def directory(self) -> Path:
        """Where the store lives."""
        return self._store.directory

    def ls(self, *, resource: str | None = None) -> list[CachedExport]:
        """List the stored exports, the latest stored first.

        Parameters
        ----------
        resource : str, optional
            List exports of this resource only.

        Returns
        -------
        list of CachedExport

        Raises
        ------
        InvalidRequestError
            If there is no such resource.

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> [export.resource for export in Cache().ls()]
        ['push_tokens']
        """
        found = [_shown(stored) for stored in self._stored(resource)]
        return sorted(found, key=lambda export: export.stored_at, reverse=True)

    def info(self) -> CacheInfo:
        """Count the exports, their rows and their bytes.

        Returns
        -------
        CacheInfo

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> found = Cache().info()
        >>> (found.exports, found.rows == tokens.height)
        (1, True)
        """
        found = self.ls()
        return CacheInfo(
            directory=self.directory,
            exports=len(found),
            rows=sum(export.rows for export in found),
            size=sum(export.size for export in found),
        )

    def verify(self) -> VerifyResult:
        """Read every stored file and compare it with its checksum. Nothing is removed; `prune` does that.

        Returns
        -------
        Verification

        Examples
        --------
        >>> from appmetrica_frames import Cache
        >>> Cache().verify().damaged
        ()
        """
        sound, damaged = [], []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)  # they are what is returned
            known = {stored.folder: stored for stored in self._stored()}
        for folder in self._store.folders():
            stored = known.get(folder)
            if stored is None and (folder / RECORD).exists():
                damaged.append(folder / RECORD)
            elif stored and is_sound(folder, stored.entry):
                sound.append(_shown(stored))
            elif stored:
                damaged.append(stored.path)
        return VerifyResult(sound=tuple(sound), damaged=tuple(damaged))

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
            Remove exports that were stored more than so many seconds ago.
        dry_run : bool, default False
            Say what would be removed, and remove nothing.

        Returns
        -------
        Removal
            The exports and leftovers removed, and the bytes freed.

        Raises
        ------
        InvalidRequestError
            If ``max_bytes`` or ``older_than`` has no meaning.

        Examples
        --------
        >>> from datetime import timedelta
        >>> from appmetrica_frames import Cache
        >>> plan = Cache().prune(older_than=timedelta(days=30), dry_run=True)
        >>> (plan.exports, plan.size)
        ((), 0)
        """
        now = time.time()
        suspect = set(self.verify().damaged)
        known = list(self._stored())
        going = [stored for stored in known if stored.path in suspect and is_damaged(stored.folder, stored.entry)]
        if older_than is not None:
            age = seconds(older_than, name="older_than")
            going += pruning.too_old(_without(known, going), stored_before=now - age)
        if max_bytes is not None:
            limit = config.byte_count(max_bytes)
            going += pruning.too_many(_without(known, going), max_bytes=limit, now=now)
        return self._removed(going, list(pruning.leftovers(self._store, now)), dry_run=dry_run, now=now)

    def remove(self, *, key: str | None = None, resource: str | None = None, dry_run: bool = False) -> PruneResult:
        """Remove exports: all, those of a resource, or the one of a key.

        Parameters
        ----------
        key : str, optional
            The export's name in the store, as `ls` shows it.
        resource : str, optional
            Remove exports of this resource only.
        dry_run : bool, default False
            Say what would be removed, and remove nothing.

        Returns
        -------
        Removal
            The exports removed and the bytes freed.

        Raises
        ------
        InvalidRequestError
            If there is no such resource.

        Examples
        --------
        >>> from appmetrica_frames import Cache, read_appmetrica
        >>> tokens = read_appmetrica("push_tokens", application_id=1111, fields=["token"])
        >>> removal = Cache().remove(resource="push_tokens")
        >>> [export.rows for export in removal.exports] == [tokens.height]
        True
        """
        chosen = [stored for stored in self._stored(resource) if key in {None, stored.folder.name}]
        return self._removed(chosen, [], dry_run=dry_run)

    def _stored(self, resource: str | None = None) -> Iterator[Stored]:
        chosen = "*" if resource is None else catalog.resource(resource).name
        for folder, entry in self._store.records(chosen):
            yield Stored(folder, entry)

    def _removed(
        self, going: list[Stored], leftovers: list[Path], *, dry_run: bool, now: float | None = None
    ) -> PruneResult:
        size = sum(map(_size, leftovers))
        if not dry_run:
            going = [stored for stored in going if pruning.remove_export(self._store, stored, now=now)]
            if now is not None:
                pruning.remove_leftovers(self._store, leftovers, now)
        size += sum(stored.entry.size for stored in going)
        return PruneResult(exports=tuple(map(_shown, going)), leftovers=tuple(leftovers), size=size, dry_run=dry_run)


def _without(known: list[Stored], going: list[Stored]) -> list[Stored]:
    return [stored for stored in known if stored not in going]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _shown(stored: Stored) -> CachedExport:
    entry = stored.entry
    return CachedExport(
        key=stored.folder.name,
        resource=stored.folder.parent.name,
        request=entry.request,
        path=stored.path,
        rows=entry.rows,
        size=entry.size,
        built_not_before=datetime.fromtimestamp(entry.built_not_before, UTC),
        stored_at=datetime.fromtimestamp(entry.stored_at, UTC),
    )
