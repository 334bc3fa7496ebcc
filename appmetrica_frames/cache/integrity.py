"""Whether a Parquet file is, bit for bit, what was published.

The checksum of the whole file decides. A file whose path is handed out is read in full the first time only: its lease
then notes the size, time and inode of what was read, and for as long as the file has these, it counts as intact.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appmetrica_frames.util.files import checksum

from . import leases

if TYPE_CHECKING:
    import os

    from .entry import CachedExport

COARSEST_TIMES = 2.0  # seconds, on FAT: a file may change twice within them and bear the same time


def is_intact(export: CachedExport) -> bool:
    """Tell whether the Parquet file is there and has the checksum of what was published."""
    try:
        return _matches(export)
    except OSError:
        return False


def is_damaged(export: CachedExport) -> bool:
    """Tell whether the Parquet file is known to be another; a file that cannot be read now may be sound."""
    try:
        return not _matches(export)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def is_unchanged_or_intact(export: CachedExport) -> bool:
    """Tell whether the file is the one that its lease says was read in full; if it is not, read it and note it."""
    try:
        found = export.path.stat()
    except OSError:
        return False
    if leases.load_checked(export.path) == _identity(export, found):
        return True
    if not is_intact(export):
        return False
    # What was looked at before the file was read is noted: a change in between is noticed the next time.
    if _is_settled(found):
        leases.save_checked(export.path, _identity(export, found))
    return True


def _matches(export: CachedExport) -> bool:
    return export.path.stat().st_size == export.size and checksum(export.path) == export.checksum


def _identity(export: CachedExport, found: os.stat_result) -> bytes:
    """Return what is compared with the lease as a whole, so that a damaged or foreign lease is just another one."""
    return f"{export.checksum:08x} {found.st_size} {found.st_mtime_ns} {found.st_ino}".encode()


def _is_settled(found: os.stat_result) -> bool:
    """Tell whether any change from now on gives the file another time; one of the future, of a wrong clock, does."""
    return abs(time.time() - found.st_mtime) > COARSEST_TIMES
