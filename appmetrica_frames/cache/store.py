"""Parquet files on disk: claim, look up, verify, publish.

<directory>/v1/<resource>/<key>/entry.json             which file is current, and all that is known of it
<directory>/v1/<resource>/<key>/<generation>.parquet   immutable once published
<directory>/v1/<resource>/<key>/<generation>.lent      its path was given away, as late as this file was touched
<directory>/v1/<resource>/<key>/pending.json           the server has accepted a job and the file is yet to come
<directory>/v1/locks/<key>.lock                        held by the one process that fetches

Whatever else lies there is not ours: it is neither read nor removed.
"""

from __future__ import annotations

import os
import re
import time
import uuid
import warnings
from contextlib import contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Any

from appmetrica_frames.errors import CacheWarning
from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import PRIVATE_FILE, TEMPORARY, checksum, create, flush, make_private, write_whole

from . import pending
from .entry import Entry, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appmetrica_frames.request.export import ExportRequest

LAYOUT = "v1"
RECORD = "entry.json"
MINUTES = 600.0
KEY = re.compile(r"[0-9a-f]{32}")
OURS = re.compile(
    r"(?:entry|pending)\.json(?:\.[0-9a-f]{32}\.tmp)?|[0-9a-f]{32}\.(?:parquet|lent|(?:parquet|part\d+)\.tmp)"
)


class Store:
    """The exports kept below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / LAYOUT
        self._spoken_of: set[Path] = set()

    def folder(self, resource: str, key: str) -> Path:
        """Return where an export of that key lives."""
        return self.root / resource / key

    def folders(self, resource: str = "*") -> Iterator[Path]:
        """Yield every folder that an export lives in, or is to live in."""
        with suppress(OSError):  # what may not be looked into holds nothing for us
            yield from sorted(
                path
                for path in self.root.glob(f"{resource}/*")
                if KEY.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
            )

    def records(self, resource: str = "*", *, drop: bool = False) -> Iterator[tuple[Path, Entry]]:
        """Yield every folder that holds a sound record, with the record; of damaged ones it warns, once each."""
        for folder in self.folders(resource):
            try:
                entry = record(folder)
            except ValueError as error:
                self._speak_of(folder / RECORD, error)
                if drop:
                    self._drop_record(folder)
            except OSError:
                continue  # gone; or not to be read now, perhaps another time
            else:
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
    def idle(self, key: str) -> Iterator[bool]:
        """Tell whether nobody fetches an export, and see to it that nobody begins to."""
        from filelock import FileLock, Timeout

        try:
            lock = FileLock(self.made(self.root / "locks") / f"{key}.lock", mode=PRIVATE_FILE)
            lock.acquire(blocking=False)
        except (Timeout, OSError):  # held; or in a store that cannot be written to, and so not changed either
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def draft(self, resource: str, key: str) -> Iterator[PendingWrite]:
        """Give a file to write to; it is gone afterwards unless it was published."""
        draft = PendingWrite(self.made(self.folder(resource, key)))
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

    def _drop_record(self, folder: Path) -> None:
        with suppress(OSError), self.idle(folder.name) as idle:
            try:
                record(folder)  # once more: another process may have replaced it
            except ValueError:
                if idle:
                    (folder / RECORD).unlink()

    def _speak_of(self, path: Path, error: ValueError) -> None:
        if path not in self._spoken_of:
            self._spoken_of.add(path)
            warnings.warn(
                f"The record {path} is damaged ({error}); its export is as good as gone.", CacheWarning, stacklevel=3
            )


class PendingWrite:
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
        with suppress(OSError):  # it must not hide what went wrong before; the next prune removes it
            for path in self.folder.glob(f"{self.generation}.*{TEMPORARY}"):
                path.unlink(missing_ok=True)

    def publish(self, **facts: Any) -> tuple[Path, Entry]:
        """Make the file current, in steps of which each leaves the old export or the new one, whole."""
        flush(self.path)
        size, check = self.path.stat().st_size, checksum(self.path)
        entry = Entry(generation=self.generation, size=size, checksum=check, **facts)
        final = parquet_path(self.folder, entry)
        self.path.replace(final)
        try:
            write_whole(self.folder / RECORD, entry.serialised())
        except OSError:
            with suppress(OSError):  # without a record it is nobody's, and takes room on a disk that may be full
                final.unlink()
            raise
        with suppress(OSError):  # it is stored; should a loss of power undo the names, that is a miss
            flush(self.folder)
        pending.remove(self.folder)
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


def record(folder: Path) -> Entry:
    """Return the record of an export; raise `ValueError` if it is damaged, `OSError` if it cannot be read."""
    return parsed((folder / RECORD).read_bytes())


def is_current(folder: Path, entry: Entry) -> bool:
    """Tell whether the record still says the same: another process may have replaced or removed it."""
    try:
        return record(folder) == entry
    except (OSError, ValueError):
        return False


def is_sound(folder: Path, entry: Entry) -> bool:
    """Tell whether the Parquet file is there and is, bit for bit, what was published."""
    try:
        return _is_whole(folder, entry)
    except OSError:
        return False


def is_damaged(folder: Path, entry: Entry) -> bool:
    """Tell whether the Parquet file is known to be another; what cannot be read now, may be another time."""
    try:
        return not _is_whole(folder, entry)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def drop(folder: Path, entry: Entry) -> None:
    """Forget a damaged export, so that it is fetched again; unless another process has just done so."""
    path = parquet_path(folder, entry)
    if not is_current(folder, entry):
        return
    if not is_damaged(folder, entry):
        warnings.warn(f"The stored export {path} cannot be read; it is fetched again.", CacheWarning, stacklevel=2)
        return
    warnings.warn(
        f"The stored export {path} is damaged or gone; it is dropped and fetched again.", CacheWarning, stacklevel=2
    )
    with suppress(OSError), Store(folder.parents[2]).idle(folder.name) as idle:
        if idle and is_current(folder, entry):
            (folder / RECORD).unlink()
            path.unlink()


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
    except FileNotFoundError:
        return 0.0
    except OSError:
        return inf  # who knows


def is_held(parquet: Path, now: float, *, minutes: float = MINUTES) -> bool:
    """Tell whether somebody may still read a Parquet file by its path.

    A path that was given away holds for a day. A path that was not is opened at once, within minutes of its last use.
    """
    return used_at(parquet.with_suffix(".lent")) > now - DAY or used_at(parquet) > now - minutes


def sweep(folder: Path, current: Entry, now: float) -> None:
    """Remove the generations before the current one that nobody holds any more."""
    with suppress(OSError):  # the next time, then
        for path in own_files(folder):
            replaced = path.suffix in {".parquet", ".lent"} and path.stem != current.generation
            if replaced and not is_held(path.with_suffix(".parquet"), now):
                with suppress(OSError):  # Windows keeps what is open
                    path.unlink()


def own_files(folder: Path) -> list[Path]:
    """List what the store has put into a folder, and nothing that somebody else has."""
    return sorted(path for path in folder.iterdir() if OURS.fullmatch(path.name))


def _is_whole(folder: Path, entry: Entry) -> bool:
    path = parquet_path(folder, entry)
    return path.stat().st_size == entry.size and checksum(path) == entry.checksum
