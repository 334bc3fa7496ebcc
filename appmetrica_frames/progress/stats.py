"""How long an export took, how large it is and how fast it came, as numbers and as text."""

from __future__ import annotations

import time
from math import floor, log10
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import format_duration

from .wording import Detail, count_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reporter import QueuePosition

UNITS = ("B", "kB", "MB", "GB", "TB")
MIN_DURATION = 0.1  # seconds; a rate over less time means nothing
SIGNIFICANT_DIGITS = 3


class TransferStats:
    """Counts the bytes, rows and seconds of an export over its stages, of which there may be several.

    Attributes
    ----------
    stage
        The current stage: ``"waiting"``, ``"downloading"`` or none.
    rows
        How many rows have been decoded.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage = ""
        self.rows = 0
        self._clock = clock
        self._started_at = clock()
        self._stage_started_at = 0.0
        self._size = 0  # bytes of this body
        self._received = 0  # bytes of the bodies before it
        self._receiving = 0.0  # seconds that those took

    def enter(self, stage: str, size: int = 0) -> bool:
        """Enter a stage; return whether it is new. A body that restarts from fewer bytes is a new stage."""
        is_new = stage != self.stage or size < self._size
        if is_new:
            self.leave()
            self.stage, self._stage_started_at = stage, self._clock()
        self._size = size
        return is_new

    def leave(self) -> None:
        """Leave the stage, and add its bytes and seconds to the totals."""
        if self.stage == "downloading":
            self._received += self._size
            self._receiving += self._clock() - self._stage_started_at
        self.stage, self._size = "", 0

    def forget(self) -> None:
        """Reset the totals, so that there is nothing to summarize."""
        self.leave()
        self._received, self._receiving = 0, 0.0

    @property
    def received(self) -> int:
        """The bytes of all bodies so far."""
        return self._received + self._size

    def describe_download(self, total: int | None) -> list[Detail]:
        """Describe how much of the current body has arrived, and how fast."""
        of_total = "" if total is None else f" of {format_bytes(total)}"
        seconds = self._clock() - self._stage_started_at
        speed = _format_rate(self._size, seconds, _bytes_per_second)
        rows = _format_rate(self.rows, self._receiving + seconds, _rows_per_second)
        details = (Detail(f"downloading {format_bytes(self._size)}{of_total}"), Detail(speed, 1), Detail(rows, 2))
        return [detail for detail in details if detail.text]

    def format_summary(self) -> str | None:
        """Describe the whole transfer; None if nothing was received."""
        self.leave()
        if not self._received:
            return None
        parts = [
            f"ready in {format_duration(self._clock() - self._started_at)}",
            f"{format_bytes(self._received)} downloaded",
            _format_rate(self._received, self._receiving, _bytes_per_second),
            count_of(self.rows, "row") if self.rows else "",
            _format_rate(self.rows, self._receiving, _rows_per_second),
        ]
        return ", ".join(filter(None, parts))


def describe_wait(waited: float, fraction: float | None, position: QueuePosition | None) -> list[Detail]:
    """Describe how long the server has been preparing a file, and how far it is."""
    known = best_fraction(fraction, position)
    waiting = f"waiting {format_duration(waited)}"
    if position and position.jobs_ahead:
        return [Detail(waiting, 1), Detail(f"{count_of(position.jobs_ahead, 'job')} before it")]
    return [Detail(waiting)] if known is None else [Detail(waiting, 1), Detail(f"{known:.0%} prepared")]


def best_fraction(fraction: float | None, position: QueuePosition | None) -> float | None:
    """Return how much is prepared; the queue is more precise than the export's own answer."""
    return position.fraction if position else fraction


def format_bytes(size: float) -> str:
    """Format a number of bytes in the unit that a person would choose, as in ``4.7 MB``."""
    units = iter(UNITS)
    unit = next(units)
    while size >= 999.5 and unit != UNITS[-1]:  # noqa: PLR2004 - what would be rounded to 1000
        size, unit = size / 1000, next(units)
    return f"{size:.0f} {unit}" if unit == UNITS[0] else f"{size:.3g} {unit}"


def _format_rate(count: float, seconds: float, format_one: Callable[[float], str]) -> str:
    return format_one(count / seconds) if count and seconds >= MIN_DURATION else ""


def _bytes_per_second(rate: float) -> str:
    return f"{format_bytes(rate)}/s"


def _rows_per_second(rate: float) -> str:
    digits = SIGNIFICANT_DIGITS - 1 - floor(log10(rate))
    return f"{round(rate, digits) if rate >= 1 else rate:,.0f} rows/s"
