"""Parquet files on disk: claim, look up, verify, publish.

<directory>/v1/<resource>/<key>/entry.json             which file is current, and all that is known of it
<directory>/v1/<resource>/<key>/<generation>.parquet   immutable once published
<directory>/v1/locks/<key>.lock                        held by the one process that fetches
"""

from __future__ import annotations

import os
import uuid
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .durations import DAY
from .entry import Entry, parsed
from .errors import CacheWarning, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .request import ExportRequest

LAYOUT = "v1"
RECORD = "entry.json"
PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
CHECKSUM_STEP = 1 << 20


class Store:
    """The exports kept below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / LAYOUT

    def folder(self, resource: str, key: str) -> Path:
        """Return where an export of that key lives."""
        return self.root / resource / key

    def records(self, resource: str = "*") -> Iterator[tuple[Path, Entry]]:
        """Yield every folder that holds a sound record, with the record; damaged ones are dropped with a warning."""
        for path in sorted(self.root.glob(f"{resource}/*/{RECORD}")):
            if entry := _record(path):
                yield path.parent, entry

    def candidates(self, request: ExportRequest, origin: str) -> list[tuple[Path, Entry]]:
        """Return what can serve a request, the youngest first: its own export, and supersets of its fields."""
        family, wanted = request.family(origin), set(request.wire_fields)
        own = self.folder(request.resource, request.key(origin))
        serving = [
            (folder, entry)
            for folder, entry in self.records(request.resource)
            if folder == own or (entry.family == family and not entry.limited and wanted <= set(entry.fields))
        ]
        return sorted(serving, key=lambda found: found[1].built_not_before, reverse=True)

    @contextmanager
    def claim(self, key: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the right to fetch an export; call `waiting` once if another process holds it."""
        from filelock import FileLock, Timeout

        locks = self._private(self.root / "locks")
        lock = FileLock(locks / f"{key}.lock", mode=PRIVATE_FILE)
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
        folder = self._private(self.folder(resource, key))
        draft = Draft(folder, uuid.uuid4().hex)
        try:
            yield draft
        finally:
            draft.path.unlink(missing_ok=True)

    def _private(self, folder: Path) -> Path:
        for step in (*reversed(folder.relative_to(self.directory).parents), folder.relative_to(self.directory)):
            make_private(self.directory / step)
        return folder


class Draft:
    """A Parquet file in the making, beside the place where it will stand."""

    def __init__(self, folder: Path, generation: str) -> None:
        self.folder = folder
        self.generation = generation
        self.path = folder / f"{generation}.parquet.tmp"
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))

    def publish(self, **facts: Any) -> tuple[Path, Entry]:
        """Make the file current, in steps of which each leaves the old export or the new one, whole."""
        _flush(self.path)
        size, check = self.path.stat().st_size, checksum(self.path)
        entry = Entry(generation=self.generation, size=size, checksum=check, **facts)
        final = parquet_path(self.folder, entry)
        self.path.replace(final)
        _write_whole(self.folder / RECORD, entry.serialised())
        _flush(self.folder)
        self._sweep(entry.stored_at)
        return final, entry

    def _sweep(self, now: float) -> None:
        # A pending LazyFrame may still read the generation before this one: give it a day.
        for old in self.folder.glob("*.parquet"):
            if old.stem != self.generation:
                with suppress(OSError):
                    if old.stat().st_mtime < now - DAY:
                        old.unlink()


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


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
    from isal import isal_zlib

    value = 0
    with path.open("rb") as file:
        while piece := file.read(CHECKSUM_STEP):
            value = isal_zlib.crc32(piece, value)
    return int(value)


def make_private(folder: Path) -> None:
    """Make a directory that only its owner enters, whatever the umask."""
    try:
        folder.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidRequestError(
            f"The store cannot live in {folder}: there is a file in the way. "
            "Name another directory with Client(cache_dir=...) or APPMETRICA_CACHE_DIR."
        ) from error


def _record(path: Path) -> Entry | None:
    try:
        return parsed(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warnings.warn(
            f"The record {path} is damaged ({error}); its export is fetched again.", CacheWarning, stacklevel=2
        )
        with suppress(OSError):
            path.unlink()
        return None


def _write_whole(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    # Windows cannot open a directory; there the rename alone has to do.
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
