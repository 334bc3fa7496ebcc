"""The sizes of the cached exports, so that `max_bytes` is enforced without reading every record.

The index is derived: it may lag behind (a use is noted on the record, not here) and may be deleted at any time.
What it says of an export is compared with the files before anything is removed; a damaged index is built anew.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from appmetrica_frames.util.files import create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .entry import CachedExport

FILE = "index.sqlite"
PAGE_ROWS = 100
BUSY_SECONDS = 5.0

_CREATE_TABLE = (
    "CREATE TABLE IF NOT EXISTS exports "
    "(folder TEXT PRIMARY KEY, size INTEGER NOT NULL, used_at REAL NOT NULL) WITHOUT ROWID"
)
_CREATE_INDEX = "CREATE INDEX IF NOT EXISTS by_use ON exports (used_at, folder)"  # last: it says that all is there


class IndexedExport(NamedTuple):
    """An export as the index knows it: its folder, its bytes, and an instant at which it was used, or earlier."""

    folder: Path
    size: int
    used_at: float


class ExportSource(Protocol):
    """Where an index is built from."""

    root: Path

    def exports(self) -> Iterator[CachedExport]:
        """Yield every export."""

    def make_folder(self, folder: Path) -> Path:
        """Make a folder of the cache."""


class SizeIndex:
    """A small SQLite database beside the exports. Where it cannot be written, nothing is indexed and nothing fails."""

    def __init__(self, source: ExportSource) -> None:
        self._source = source
        self._path = source.root / FILE

    def add(self, folder: Path, size: int, used_at: float) -> None:
        """Note that a folder has an export of so many bytes."""
        row = self._name(folder), size, used_at
        self._try("INSERT OR REPLACE INTO exports VALUES (?, ?, ?)", row)

    def remove(self, folder: Path) -> None:
        """Note that a folder has no export any more."""
        self._try("DELETE FROM exports WHERE folder = ?", (self._name(folder),))

    def rebuild(self) -> None:
        """Build the index from the exports that are there."""
        with suppress(OSError):
            self._path.unlink()
        if self._source.root.is_dir():
            with suppress(sqlite3.Error, OSError), self._open():
                pass

    def total(self) -> int:
        """Return the bytes of all exports; raise `OSError` if there is no index to be had."""
        try:
            return self._total()
        except sqlite3.Error:
            self.rebuild()
        try:
            return self._total()
        except sqlite3.Error as error:
            raise OSError(f"the index {self._path} cannot be used: {error}") from error

    def least_recently_used(self) -> Iterator[IndexedExport]:
        """Yield the exports in the order of their last use; one whose use is moved forward meanwhile comes again."""
        last = (-1.0, "")
        with suppress(sqlite3.Error, OSError), self._open() as database:
            query = "SELECT used_at, folder, size FROM exports WHERE (used_at, folder) > (?, ?) ORDER BY 1, 2 LIMIT ?"
            while rows := database.execute(query, (*last, PAGE_ROWS)).fetchall():
                last = rows[-1][:2]
                yield from (IndexedExport(self._source.root / folder, size, used) for used, folder, size in rows)

    def _total(self) -> int:
        with self._open() as database:
            return int(database.execute("SELECT COALESCE(SUM(size), 0) FROM exports").fetchone()[0])

    def _try(self, statement: str, values: tuple[object, ...]) -> None:
        with suppress(sqlite3.Error, OSError), self._open() as database:
            database.execute(statement, values)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        is_new = not self._path.exists()
        if not is_new and not self._path.is_file():
            raise OSError(f"{self._path} is not a file")
        if is_new:
            self._source.make_folder(self._path.parent)
            with suppress(FileExistsError):
                os.close(create(self._path))
        database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = OFF")  # derived: a loss of power costs a rebuild
            if is_new or not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'by_use'").fetchone():
                self._fill(database)
            yield database
        finally:
            database.close()

    def _fill(self, database: sqlite3.Connection) -> None:
        rows = [
            (self._name(export.path.parent), export.size, export.fetched_at.timestamp())
            for export in self._source.exports()
        ]
        database.execute("BEGIN IMMEDIATE")
        database.execute(_CREATE_TABLE)
        database.executemany("INSERT OR IGNORE INTO exports VALUES (?, ?, ?)", rows)
        database.execute(_CREATE_INDEX)
        database.execute("COMMIT")

    def _name(self, folder: Path) -> str:
        return folder.relative_to(self._source.root).as_posix()
