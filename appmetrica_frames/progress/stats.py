"""Statistics of a transfer, as text: how long it took, how much it was, how fast it came."""

from __future__ import annotations

import time
from math import floor, log10
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reporter import QueuePosition

UNITS = ("B", "kB", "MB", "GB", "TB")
SPEED_AFTER = 0.1  # seconds; before that, a speed says nothing
DIGITS = 3


class TransferStats:
    """Counts what comes, through the stages of waiting and downloading, of which there may be several.

    Attributes
    ----------
    stage
        What goes on: ``"waiting"``, ``"downloading"`` or nothing.
    rows
        How many rows have been decoded.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage = ""
        self.rows = 0
        self._clock = clock
        self._began = clock()
        self._stage_began = 0.0
        self._size = 0  # bytes of this body
        self._received = 0  # bytes of the bodies before it
        self._receiving = 0.0  # seconds that those took

    def enter(self, stage: str, size: int = 0) -> bool:
        """Enter a stage; return whether it is new. A body that starts again, with fewer bytes, is a new one."""
        new = stage != self.stage or size < self._size
        if new:
            self.leave()
            self.stage, self._stage_began = stage, self._clock()
        self._size = size
        return new

    def leave(self) -> None:
        """Leave the stage."""
        if self.stage == "downloading":
            self._received += self._size
            self._receiving += self._clock() - self._stage_began
        self.stage, self._size = "", 0

    def forget(self) -> None:
        """Forget what was received."""
        self.leave()
        self._received, self._receiving = 0, 0.0

    def downloaded(self, total: int | None) -> str:
        """Describe how far the current body is."""
        of = "" if total is None else f" of {format_bytes(total)}"
        seconds = self._clock() - self._stage_began
        rows = _rate(self.rows, self._receiving + seconds, _rows_per_second)
        return f"downloading {format_bytes(self._size)}{of}{_rate(self._size, seconds, _bytes_per_second)}{rows}"

    def result(self) -> str | None:
        """Describe what was received in the end, if anything was."""
        self.leave()
        if not self._received:
            return None
        size = f"{format_bytes(self._received)} downloaded{_rate(self._received, self._receiving, _bytes_per_second)}"
        rows = f"{self.rows:,} rows{_rate(self.rows, self._receiving, _rows_per_second)}"
        return f"ready in {format_duration(self._clock() - self._began)}, {size}{f', {rows}' if self.rows else ''}"


def format_wait(waited: float, fraction: float | None, position: QueuePosition | None) -> str:
    """Describe how long the server has prepared a file, and how far it is."""
    known = known_fraction(fraction, position)
    parts = [f"waiting {format_duration(waited)}"]
    if position and position.jobs_ahead:
        parts.append(f"{position.jobs_ahead} {'job' if position.jobs_ahead == 1 else 'jobs'} before it")
    elif known is not None:
        parts.append(f"{known:.0%} prepared")
    return ", ".join(parts)


def known_fraction(fraction: float | None, position: QueuePosition | None) -> float | None:
    """Return how much is prepared; the queue is more exact than the text of a response."""
    return position.fraction if position else fraction


def format_bytes(size: float) -> str:
    """Format a number of bytes in the unit that a person would choose, as in ``4.7 MB``."""
    units = iter(UNITS)
    unit = next(units)
    while size >= 999.5 and unit != UNITS[-1]:  # noqa: PLR2004 - what would be rounded to 1000
        size, unit = size / 1000, next(units)
    return f"{size:.0f} {unit}" if unit == UNITS[0] else f"{size:.3g} {unit}"


def _rate(count: float, seconds: float, said: Callable[[float], str]) -> str:
    return f", {said(count / seconds)}" if count and seconds >= SPEED_AFTER else ""


def _bytes_per_second(rate: float) -> str:
    return f"{format_bytes(rate)}/s"


def _rows_per_second(rate: float) -> str:
    return f"{round(rate, DIGITS - 1 - floor(log10(rate))) if rate >= 1 else rate:,.0f} rows/s"
