"""Who uses a Parquet file of the cache: when it was last used, and whether its path was handed out for later.

A use is noted on files beside the Parquet file, whose own time stays that of its publication: see `integrity`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import create, read_regular

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "entry.json"
LEASE, USED = ".lease", ".used"
MARKS = (LEASE, USED)
LEASE_SECONDS = DAY
READ_SECONDS = 600.0  # a path that is not handed out is opened within minutes of its look-up
MAX_LEASE_BYTES = 200

# Opens what is there, follows no link and waits for nobody.
_OVERWRITE = os.O_WRONLY | os.O_TRUNC | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))


def touch(parquet: Path, *, lease: bool) -> None:
    """Note that a file is used now, and whether its path is handed out for later use."""
    with suppress(OSError):  # a cache that cannot be written to can still be read
        parquet.stat()  # nothing is put beside a file that is gone
        _touch(parquet.with_suffix(LEASE if lease else USED))
    with suppress(OSError):
        os.utime(parquet.with_name(RECORD))  # the last use of the current version, whichever that is


def used_at(path: Path) -> float:
    """Return when a file was last used, in UNIX seconds; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    except OSError:
        return inf  # unknown, so it counts as in use


def is_leased(parquet: Path, now: float) -> bool:
    """Tell whether the path of a file was handed out within a day: a LazyFrame may be about to read it."""
    return used_at(parquet.with_suffix(LEASE)) > now - LEASE_SECONDS


def is_in_use(parquet: Path, now: float) -> bool:
    """Tell whether somebody may still read a file by its path: it is leased, or was published or used minutes ago."""
    last_use = max(used_at(parquet), used_at(parquet.with_suffix(USED)))
    return is_leased(parquet, now) or last_use > now - READ_SECONDS


def load_checked(parquet: Path) -> bytes:
    """Return what the lease of a file says was read in full; empty if nothing was."""
    try:
        return read_regular(parquet.with_suffix(LEASE), limit=MAX_LEASE_BYTES)
    except (OSError, ValueError):
        return b""


def save_checked(parquet: Path, identity: bytes) -> None:
    """Note in the lease of a file that it was read in full; without a lease, or where it cannot be written, nothing.

    The lease is overwritten and not replaced: it must be there all the time. Half of an identity is none.
    """
    with suppress(OSError), os.fdopen(os.open(parquet.with_suffix(LEASE), _OVERWRITE), "wb", buffering=0) as file:
        file.write(identity)


def forget_checked(parquet: Path) -> None:
    """Note that a file is to be read in full before its path is handed out again; its lease is then as of now."""
    if load_checked(parquet):
        save_checked(parquet, b"")


def remove_marks(parquet: Path) -> None:
    """Remove what lies beside a file that is gone."""
    for suffix in MARKS:
        with suppress(OSError):
            parquet.with_suffix(suffix).unlink()


def _touch(mark: Path) -> None:
    try:
        os.utime(mark)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another process was faster
            os.close(create(mark))
