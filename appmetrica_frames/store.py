"""Parquet files on disk: claim, look up, verify, publish.

<directory>/v1/<resource>/<key>/entry.json             which file is current, and all that is known of it
<directory>/v1/<resource>/<key>/<generation>.parquet   immutable once published
<directory>/v1/<resource>/<key>/<generation>.lent      its path was given away, as late as this file was touched
<directory>/v1/<resource>/<key>/pending.json           the server has accepted a job and the file is yet to come
<directory>/v1/locks/<key>.lock                        held by the one process that fetches
"""

from __future__ import annotations

import json
import os
import time
import uuid
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .durations import DAY
from .entry import Entry, parsed
from .errors import CacheWarning
from .files import PRIVATE_FILE, TEMPORARY, checksum, create, flush, make_private, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .request import ExportRequest

LAYOUT = "v1"
RECORD = "entry.json"
PENDING = "pending.json"
MINUTES = 600.0


class Store:
    """The exports kept below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / LAYOUT

    def folder(self, resource: str, key: str) -> Path:
        """Return where an export of that key lives."""
        return self.root / resource / key

    def folders(self, resource: str = "*") -> Iterator[Path]:
        """Yield every folder that an export lives in, or is to live in."""
        with suppress(OSError):  # what may not be looked into holds nothing for us
            yield from sorted(path for path in self.root.glob(f"{resource}/*") if path.is_dir())

    def records(self, resource: str = "*", *, drop: bool = False) -> Iterator[tuple[Path, Entry]]:
        """Yield every folder that holds a sound record, with the record; of damaged ones it warns."""
        yield from self.records_in(self.folders(resource), drop=drop)

    @staticmethod
    def records_in(folders: Iterable[Path], *, drop: bool) -> Iterator[tuple[Path, Entry]]:
        """Yield those of some folders that hold a sound record, with the record."""
        for folder in folders:
            if entry := _record(folder / RECORD, drop=drop):
                yield folder, entry

    def candidates(self, request: ExportRequest, origin: str) -> list[tuple[Path, Entry]]:
        """Return what can serve a request, the youngest first: its own export, and supersets of its fields."""
        family, wanted = request.family(origin), set(request.wire_fields)
        own = self.folder(request.resource, request.key(origin))
        serving = [
            (folder, entry)
            for folder, entry in self.records(request.resource, drop=True)
            if folder == own or (entry.family == family and not entry.limited and wanted <= set(entry.fields))
        ]
        return sorted(serving, key=lambda found: found[1].built_not_before, reverse=True)

    @contextmanager
    def claim(self, key: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the right to fetch an export; call `waiting` once if another process holds it."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.made(self.root / "locks") / f"{key}.lock", mode=PRIVATE_FILE)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def draft(self, resource: str, key: str) -> Iterator[Draft]:
        """Give a file to write to; it is gone afterwards unless it was published."""
        draft = Draft(self.made(self.folder(resource, key)))
        try:
            yield draft
        finally:
            draft.discard()

    def made(self, folder: Path) -> Path:
        """Make a folder of the store, and those above it, for their owner alone."""
        inside = folder.relative_to(self.directory)
        for step in (*reversed(inside.parents), inside):
            make_private(self.directory / step)
        return folder


class Draft:
    """A Parquet file in the making, beside the place where it will stand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.generation = uuid.uuid4().hex
        self.path = self._file("parquet")

    def part(self, number: int) -> Path:
        """Return a file for one part of the export."""
        return self._file(f"part{number}")

    def discard(self) -> None:
        """Remove everything that was not published."""
        for path in self.folder.glob(f"{self.generation}.*{TEMPORARY}"):
            path.unlink(missing_ok=True)

    def publish(self, **facts: Any) -> tuple[Path, Entry]:
        """Make the file current, in steps of which each leaves the old export or the new one, whole."""
        flush(self.path)
        size, check = self.path.stat().st_size, checksum(self.path)
        entry = Entry(generation=self.generation, size=size, checksum=check, **facts)
        final = parquet_path(self.folder, entry)
        self.path.replace(final)
        write_whole(self.folder / RECORD, entry.serialised())
        flush(self.folder)
        forget_pending(self.folder)
        sweep(self.folder, entry, time.time())
        return final, entry

    def _file(self, ending: str) -> Path:
        path = self.folder / f"{self.generation}.{ending}{TEMPORARY}"
        if not path.exists():
            os.close(create(path))
        return path


def parquet_path(folder: Path, entry: Entry) -> Path:
    """Return the current Parquet file of an export."""
    return folder / f"{entry.generation}.parquet"


def is_sound(folder: Path, entry: Entry) -> bool:
    """Tell whether the Parquet file is there and is, bit for bit, what was published."""
    path = parquet_path(folder, entry)
    try:
        return path.stat().st_size == entry.size and checksum(path) == entry.checksum
    except OSError:
        return False


def drop(folder: Path, entry: Entry) -> None:
    """Forget a damaged export, so that it is fetched again."""
    warnings.warn(
        f"The stored export {parquet_path(folder, entry)} is damaged or gone; it is dropped and fetched again.",
        CacheWarning,
        stacklevel=2,
    )
    with suppress(OSError):
        (folder / RECORD).unlink()
        parquet_path(folder, entry).unlink()


def use(folder: Path, entry: Entry, *, lend: bool) -> None:
    """Note that an export was used just now, and whether its path was given away for later."""
    path = parquet_path(folder, entry)
    with suppress(OSError):  # a store that cannot be written to can still be read
        os.utime(path)
        if lend:
            lent = path.with_suffix(".lent")
            if not lent.exists():
                os.close(create(lent))
            os.utime(lent)


def used_at(parquet: Path) -> float:
    """Return when a Parquet file was last used, in UNIX seconds."""
    try:
        return parquet.stat().st_mtime
    except OSError:
        return 0.0


def is_held(parquet: Path, now: float, *, minutes: float = MINUTES) -> bool:
    """Tell whether somebody may still read a Parquet file by its path.

    A path that was given away holds for a day. A path that was not is opened at once, within minutes of its last use.
    """
    return used_at(parquet.with_suffix(".lent")) > now - DAY or used_at(parquet) > now - minutes


def sweep(folder: Path, current: Entry, now: float) -> None:
    """Remove the generations before the current one that nobody holds any more."""
    for path in [*folder.glob("*.parquet"), *folder.glob("*.lent")]:
        if path.stem != current.generation and not is_held(path.with_suffix(".parquet"), now):
            with suppress(OSError):  # Windows keeps what is open
                path.unlink()


def note_pending(folder: Path, requested_at: float) -> None:
    """Leave a mark that the server prepares this export, since a request at that instant in UNIX seconds."""
    with suppress(OSError):  # without the mark, an interrupted wait begins anew
        write_whole(folder / PENDING, json.dumps({"requested_at": requested_at}).encode())


def pending(folder: Path) -> float | None:
    """Return the instant of the request that the mark speaks of, if there is one that can be read."""
    try:
        return float(json.loads((folder / PENDING).read_bytes())["requested_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_pending(folder: Path) -> None:
    """Remove the mark."""
    with suppress(OSError):
        (folder / PENDING).unlink()


def _record(path: Path, *, drop: bool) -> Entry | None:
    try:
        return parsed(path.read_bytes())
    except OSError:
        return None
    except ValueError as error:
        warnings.warn(f"The record {path} is damaged ({error}); its export is as good as gone.", CacheWarning, 2)
        if drop:
            with suppress(OSError):
                path.unlink()
        return None
