"""The mark of an interrupted wait: which job the server has accepted, so that the same call can go on with it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from appmetrica_frames.util.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

PENDING = "pending.json"


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that the server has accepted.

    Attributes
    ----------
    requested_at
        When the request that it accepted was sent, in UNIX seconds.
    parts
        In how many parts the export was asked for: an export in other parts is another job.
    part
        The number of the part that was waited for last.
    refresh
        Whether it was requested with ``refresh=True``.
    """

    requested_at: float
    parts: int = 1
    part: int = 0
    refresh: bool = False


def leave(folder: Path, mark: PendingJob) -> None:
    """Leave a mark in the folder of an export, in place of an older one."""
    with suppress(OSError):  # without the mark, an interrupted wait begins anew
        write_whole(folder / PENDING, json.dumps(asdict(mark)).encode())


def found(folder: Path) -> PendingJob | None:
    """Return the mark, if there is one that can be read."""
    try:
        told = json.loads((folder / PENDING).read_bytes())
        return PendingJob(
            float(told["requested_at"]), int(told["parts"]), int(told.get("part", 0)), bool(told.get("refresh"))
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def remove(folder: Path) -> None:
    """Remove the mark."""
    with suppress(OSError):
        (folder / PENDING).unlink()
