"""Who uses a Parquet file of the cache: when it was last used, and whether its path was handed out for later."""

from __future__ import annotations

import os
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import DAY
from appmetrica_frames.util.files import create

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "entry.json"
LEASE_SECONDS = DAY
READ_SECONDS = 600.0  # a path that is not handed out is opened within minutes of its look-up


def touch(parquet: Path, *, lease: bool) -> None:
    """Note that a file is used now, and whether its path is handed out for later use."""
    with suppress(OSError):  # a cache that cannot be written to can still be read
        os.utime(parquet)
        os.utime(parquet.with_name(RECORD))  # the file to look at where the version is not known
        if lease:
            mark = parquet.with_suffix(".lease")
            if not mark.exists():
                os.close(create(mark))
            os.utime(mark)


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
    return used_at(parquet.with_suffix(".lease")) > now - LEASE_SECONDS


def is_in_use(parquet: Path, now: float) -> bool:
    """Tell whether somebody may still read a file by its path: it is leased, or was used minutes ago."""
    return is_leased(parquet, now) or used_at(parquet) > now - READ_SECONDS
