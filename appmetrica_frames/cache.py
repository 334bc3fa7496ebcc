"""The store, as its owner sees it: list, look at, remove."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import config
from .store import RECORD, Store, parquet_path

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from .entry import Entry


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
    """The store as a whole: its directory, number of exports, rows, and bytes on disk."""

    directory: Path
    exports: int
    rows: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a removal removes, or has removed: exports, and bytes freed."""

    exports: tuple[CachedExport, ...]
    size: int
    dry_run: bool


class Cache:
    """The local store of exports.

    Parameters
    ----------
    directory : path-like, optional
        Default: ``APPMETRICA_CACHE_DIR``, else the user's cache directory.

    Examples
    --------
    >>> from appmetrica_frames import Cache
    >>> Cache("/tmp/nothing-here").ls()
    []
    """

    def __init__(self, directory: str | PathLike[str] | None = None) -> None:
        self._store = Store(config.cache_directory(directory, os.environ))

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
        """
        found = [_shown(folder, entry) for folder, entry in self._store.records(resource or "*")]
        return sorted(found, key=lambda export: export.stored_at, reverse=True)

    def info(self) -> CacheInfo:
        """Count the exports, their rows and their bytes."""
        found = self.ls()
        return CacheInfo(
            directory=self.directory,
            exports=len(found),
            rows=sum(export.rows for export in found),
            size=sum(export.size for export in found),
        )

    def remove(self, *, key: str | None = None, resource: str | None = None, dry_run: bool = False) -> Removal:
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
        """
        chosen = tuple(export for export in self.ls(resource=resource) if key in {None, export.key})
        if not dry_run:
            for export in chosen:
                _delete(export.path.parent)
        return Removal(exports=chosen, size=sum(export.size for export in chosen), dry_run=dry_run)


def _shown(folder: Path, entry: Entry) -> CachedExport:
    return CachedExport(
        key=folder.name,
        resource=folder.parent.name,
        request=entry.request,
        path=parquet_path(folder, entry),
        rows=entry.rows,
        size=entry.size,
        built_not_before=datetime.fromtimestamp(entry.built_not_before, UTC),
        stored_at=datetime.fromtimestamp(entry.stored_at, UTC),
    )


def _delete(folder: Path) -> None:
    # The record goes first: without it the files are nobody's, and a crash in between leaves a miss.
    with suppress(FileNotFoundError):
        (folder / RECORD).unlink()
    for file in folder.glob("*.parquet"):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # another process may be writing a new one here
        folder.rmdir()
