"""Where cached exports are kept: a directory of Parquet files with their records.

<directory>/v2/<resource>/<request key>/<fields key>/entry.json          the current file, and all that is known of it
<directory>/v2/<resource>/<request key>/<fields key>/<version>.parquet   immutable once published
<directory>/v2/<resource>/<request key>/<fields key>/<version>.lease     its path was handed out when this was touched;
                                                                         holds what was checked, see `integrity`
<directory>/v2/<resource>/<request key>/<fields key>/<version>.used      it was read when this was touched
<directory>/v2/<resource>/<request key>/<fields key>/pending.json        the server has accepted a job for it
<directory>/v2/locks/<request key>-<fields key>.lock                     held by the one process that fetches it
<directory>/v2/locks/<application>-place<number>.lock                    held by a job in the server's queue
<directory>/v2/<resource>/rejected_fields.json                           documented fields that the server rejects
<directory>/v2/time_zones.json                                           the time zones of applications
<directory>/v2/index.sqlite                                              sizes, for `max_bytes`

A look-up reads the records of one request key. Whatever else lies there is not ours: it is neither read nor removed.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from appmetrica_frames.errors import CacheWarning
from appmetrica_frames.request.export import FIELDS_KEY_LENGTH, REQUEST_KEY_LENGTH
from appmetrica_frames.util.caller import warn_caller
from appmetrica_frames.util.files import (
    TEMPORARY,
    checksum,
    create,
    flush,
    make_private,
    read_regular,
    replace_file,
)

from . import leases
from .entry import (
    MAX_RECORD_BYTES,
    CachedExport,
    PendingExport,
    PendingJob,
    parse_export,
    parse_pending_export,
    parse_pending_job,
    to_datetime,
)
from .integrity import is_damaged, is_intact, is_unchanged_or_intact
from .leases import RECORD
from .locks import Locks
from .rejected import RejectedFields
from .time_zones import TimeZones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from appmetrica_frames.request.export import ExportRequest

    from .index import SizeIndex

LAYOUT = "v2"
PENDING = "pending.json"
REQUEST_KEY = re.compile(rf"[0-9a-f]{{{REQUEST_KEY_LENGTH}}}")
FIELDS_KEY = re.compile(rf"[0-9a-f]{{{FIELDS_KEY_LENGTH}}}")
OWN_FILE = re.compile(
    r"(?:entry|pending)\.json(?:\.[0-9a-f]{32}\.tmp)?|[0-9a-f]{32}\.(?:parquet|lease|used|(?:parquet|part\d+)\.tmp)"
)


class ExportStore(Protocol):
    """Where the engine looks exports up and publishes them; a directory of this machine is one such place."""

    def find(self, request: ExportRequest, origin: str) -> list[CachedExport]:
        """Return the exports that can serve a request, the youngest first."""

    def touch(self, export: CachedExport, *, lease: bool) -> None:
        """Note that an export is used now, and whether its path is handed out for later use."""

    def check(self, export: CachedExport, *, lease: bool) -> bool:
        """Tell whether an export is current and what was published; one to be leased is read in full only once."""

    def discard_damaged(self, export: CachedExport) -> None:
        """Forget a damaged export, so that it is fetched again."""

    def lock(
        self, key: str, *, timeout: float, on_wait: Callable[[], None], check: Callable[[], None] | None = None
    ) -> AbstractContextManager[None]:
        """Hold the right to fetch an export; raise `TimeoutError` if another process holds it for too long."""

    def open_write(self, request: ExportRequest, origin: str) -> AbstractContextManager[PendingWrite]:
        """Open a new version of an export; what is not committed is removed."""


class LocalStore:
    """The exports kept below one directory of this machine.

    Parameters
    ----------
    read_only
        Whether a look-up leaves damaged records where they are.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.directory = directory
        self.root = directory / LAYOUT
        self.locks = Locks(self.root / "locks", self.make_folder)
        self._read_only = read_only
        self._reported: set[Path] = set()

    @cached_property
    def index(self) -> SizeIndex:
        """The sizes of the exports; a read that the cache answers needs no database."""
        from .index import SizeIndex

        return SizeIndex(self)

    def folder(self, request: ExportRequest, origin: str) -> Path:
        """Return the folder of the export of a request."""
        return self.root / request.resource / request.request_key(origin) / request.fields_key()

    def rejected_fields(self, resource: str, origin: str) -> RejectedFields:
        """Return what is remembered of the fields of a resource that a server rejects."""
        return RejectedFields(self.root / resource, origin)

    def time_zones(self, origin: str) -> TimeZones:
        """Return what is remembered of the time zones of a server's applications."""
        return TimeZones(self.root, origin, self.make_folder)

    def find(self, request: ExportRequest, origin: str) -> list[CachedExport]:
        """Return the exports that can serve a request, the youngest first: its own, and those with more fields."""
        own = self.folder(request, origin)
        wanted = set(request.wire_fields)
        serving = [
            export
            for export in self._load_all(_subfolders(own.parent, FIELDS_KEY), discard=not self._read_only)
            if export.path.parent == own or (not export.is_limited and wanted <= set(export.fields))
        ]
        return sorted(serving, key=lambda export: export.built_not_before, reverse=True)

    def folders(self, resource: str | None = None) -> Iterator[Path]:
        """Yield every folder of an export."""
        resources = [self.root / resource] if resource else _subfolders(self.root, re.compile(r"[a-z0-9_]+"))
        for folder in resources:
            for request_folder in _subfolders(folder, REQUEST_KEY):
                yield from _subfolders(request_folder, FIELDS_KEY)

    def exports(self, resource: str | None = None) -> Iterator[CachedExport]:
        """Yield every export with a sound record; warn of each damaged record once."""
        return self._load_all(self.folders(resource), discard=False)

    def pending_exports(self, resource: str | None, now: float) -> Iterator[PendingExport]:
        """Yield every export of which a job is recorded that can still be resumed."""
        for folder in self.folders(resource):
            with suppress(OSError, ValueError):
                text = read_regular(folder / PENDING, limit=MAX_RECORD_BYTES)
                pending = parse_pending_export(text, key_of(folder), folder.parent.parent.name)
                if pending is not None and pending.job.is_resumable(now):
                    yield pending

    def touch(self, export: CachedExport, *, lease: bool) -> None:
        """Note that an export is used now, and whether its path is handed out for later use."""
        leases.touch(export.path, lease=lease)

    def check(self, export: CachedExport, *, lease: bool) -> bool:
        """Tell whether an export is current and, bit for bit, what was published.

        A file that is about to be read is compared with its checksum. One whose path is handed out is compared the
        first time, and then whenever its size, time or inode are others than those that were compared.

        Whoever removes an export removes its record first and then looks for leases; whoever hands out its path
        takes the lease first and then looks for the record. So no path is handed out whose file is about to go.
        """
        intact = is_unchanged_or_intact(export) if lease else is_intact(export)
        if not intact:
            leases.forget_checked(export.path)
        return intact and is_current(export)

    def discard_damaged(self, export: CachedExport) -> None:
        """Forget a damaged export, so that it is fetched again; unless another process has just done so."""
        if not is_current(export):
            return
        if not is_damaged(export):
            warn_caller(f"The cached export {export.path} cannot be read; it will be fetched again.", CacheWarning)
            return
        warn_caller(
            f"The cached export {export.path} is damaged or missing; it is dropped and will be fetched again.",
            CacheWarning,
        )
        with suppress(OSError), self.locks.try_acquire(export.key) as acquired:
            if acquired and is_current(export):
                (export.path.parent / RECORD).unlink()
                export.path.unlink(missing_ok=True)
                leases.remove_marks(export.path)

    def lock(
        self, key: str, *, timeout: float, on_wait: Callable[[], None], check: Callable[[], None] | None = None
    ) -> AbstractContextManager[None]:
        """Hold the right to fetch an export; raise `TimeoutError` if another process holds it for too long."""
        return self.locks.acquire(key, timeout=timeout, on_wait=on_wait, check=check)

    @contextmanager
    def open_write(self, request: ExportRequest, origin: str) -> Iterator[PendingWrite]:
        """Open a new version of an export; what is not committed is removed."""
        write = PendingWrite(request, origin, self.make_folder(self.folder(request, origin)), self.index)
        try:
            yield write
        finally:
            write.discard()

    def make_folder(self, folder: Path) -> Path:
        """Make a folder of the cache, and those above it, for their owner alone."""
        inside = folder.relative_to(self.directory)
        for step in (*reversed(inside.parents), inside):
            make_private(self.directory / step)
        return folder

    def _load_all(self, folders: Iterator[Path], *, discard: bool) -> Iterator[CachedExport]:
        for folder in folders:
            try:
                yield load_export(folder)
            except ValueError as error:
                self._report_damage(folder / RECORD, error)
                if discard:
                    self._discard_record(folder)
            except OSError:
                continue  # it is gone, or cannot be read now but perhaps another time

    def _discard_record(self, folder: Path) -> None:
        with suppress(OSError), self.locks.try_acquire(key_of(folder)) as acquired:
            try:
                load_export(folder)  # once more: another process may have replaced it
            except ValueError:
                if acquired:
                    (folder / RECORD).unlink()

    def _report_damage(self, path: Path, error: ValueError) -> None:
        if path not in self._reported:
            self._reported.add(path)
            warn_caller(f"The record {path} is damaged ({error}); its export will be fetched again.", CacheWarning)


class PendingWrite:
    """A new version of an export, written beside the place where it will be published."""

    def __init__(self, request: ExportRequest, origin: str, folder: Path, index: SizeIndex) -> None:
        self.folder = folder
        self.version = uuid.uuid4().hex
        self.path = self._create("parquet")
        self._request = request
        self._origin = origin
        self._index = index

    def part(self, number: int) -> Path:
        """Return a file for one part of the export."""
        return self._create(f"part{number}")

    def load_pending_job(self) -> PendingJob | None:
        """Return the job that an interrupted call left behind, if there is one."""
        return load_pending_job(self.folder)

    def load_current(self) -> CachedExport | None:
        """Return the export that this version is to replace, if there is one."""
        try:
            return load_export(self.folder)
        except (OSError, ValueError):
            return None

    def save_pending_job(self, job: PendingJob) -> None:
        """Keep the job that the server has accepted, so that the same call can resume it."""
        with suppress(OSError):  # without it, an interrupted wait begins anew
            replace_file(self.folder / PENDING, job.to_json(self._request.to_dict()))

    def discard(self) -> None:
        """Remove everything that was not committed."""
        with suppress(OSError):  # must not hide an earlier error; the next prune removes what is left
            for path in self.folder.glob(f"{self.version}.*{TEMPORARY}"):
                path.unlink(missing_ok=True)

    def commit(
        self, *, built_not_before: float, fetched_at: float, text_columns: dict[str, str], rows: int
    ) -> CachedExport:
        """Publish the version, in steps of which each leaves the old export or the new one, whole."""
        flush(self.path)
        export = CachedExport(
            key=key_of(self.folder),
            resource=self._request.resource,
            request=self._request.to_dict(),
            origin=self._origin,
            fields=self._request.wire_fields,
            is_limited=self._request.is_limited,
            text_columns=text_columns,
            path=self.folder / f"{self.version}.parquet",
            rows=rows,
            size=self.path.stat().st_size,
            checksum=checksum(self.path),
            built_not_before=to_datetime(built_not_before),
            fetched_at=to_datetime(fetched_at),
        )
        self._publish(export)
        return export

    def _publish(self, export: CachedExport) -> None:
        self._index.add(self.folder, export.size, time.time())
        self.path.replace(export.path)
        try:
            replace_file(self.folder / RECORD, export.to_json())
        except OSError:
            with suppress(OSError):  # without a record it belongs to nothing, and a full disk needs the space
                export.path.unlink()
            raise
        with suppress(OSError):  # published; should a loss of power undo the names, that is a miss
            flush(self.folder)
        with suppress(OSError):
            (self.folder / PENDING).unlink()
        remove_replaced(self.folder, export.version, time.time())

    def _create(self, ending: str) -> Path:
        path = self.folder / f"{self.version}.{ending}{TEMPORARY}"
        if not path.exists():
            os.close(create(path))
        return path


def key_of(folder: Path) -> str:
    """Return the key of the export in a folder."""
    return f"{folder.parent.name}-{folder.name}"


def load_export(folder: Path) -> CachedExport:
    """Return the export in a folder; raise `ValueError` if its record is damaged, `OSError` if it cannot be read."""
    return parse_export(read_regular(folder / RECORD, limit=MAX_RECORD_BYTES), folder)


def load_pending_job(folder: Path) -> PendingJob | None:
    """Return the job whose file is still to come, if a sane one is recorded."""
    try:
        return parse_pending_job(read_regular(folder / PENDING, limit=MAX_RECORD_BYTES))
    except (OSError, ValueError):
        return None


def is_current(export: CachedExport) -> bool:
    """Tell whether the record still says the same: another process may have replaced or removed it."""
    try:
        return load_export(export.path.parent) == export
    except (OSError, ValueError):
        return False


def remove_replaced(folder: Path, version: str, now: float) -> None:
    """Remove the versions before the current one that nobody uses any more."""
    with suppress(OSError):  # the next time, then
        for path in own_files(folder):
            replaced = path.suffix in {".parquet", *leases.MARKS} and path.stem != version
            if replaced and not leases.is_in_use(path.with_suffix(".parquet"), now):
                with suppress(OSError):  # Windows keeps what is open
                    path.unlink()


def own_files(folder: Path) -> list[Path]:
    """List the files that the cache has put into a folder."""
    return sorted(path for path in folder.iterdir() if OWN_FILE.fullmatch(path.name))


def _subfolders(folder: Path, name: re.Pattern[str]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            names = sorted(
                entry.name for entry in found if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )
    except OSError:  # what is not there, or must not be read, holds nothing for us
        return
    yield from (folder / name for name in names)
