"""What has come of an export so far, in words: how long it took, how much it is, how fast it came."""

from __future__ import annotations

import time
from math import floor, log10
from typing import TYPE_CHECKING

from appmetrica_frames.util.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from appmetrica_frames.logs_api.queue import QueuePosition

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
        """Be in a stage; tell whether that is new. A body that comes again, from fewer bytes on, is a new one."""
        new = stage != self.stage or size < self._size
        if new:
            self.leave()
            self.stage, self._stage_began = stage, self._clock()
        self._size = size
        return new

    def leave(self) -> None:
        """Be in no stage."""
        if self.stage == "downloading":
            self._received += self._size
            self._receiving += self._clock() - self._stage_began
        self.stage, self._size = "", 0

    def forget(self) -> None:
        """Let what was received be nothing to speak of."""
        self.leave()
        self._received, self._receiving = 0, 0.0

    def downloaded(self, total: int | None) -> str:
        """Say how far the body is that comes now."""
        of = "" if total is None else f" of {format_bytes(total)}"
        seconds = self._clock() - self._stage_began
        rows = _rate(self.rows, self._receiving + seconds, _rows_per_second)
        return f"downloading {format_bytes(self._size)}{of}{_rate(self._size, seconds, _bytes_per_second)}{rows}"

    def result(self) -> str | None:
        """Say what came in the end, if anything did."""
        self.leave()
        if not self._received:
            return None
        size = f"{format_bytes(self._received)} downloaded{_rate(self._received, self._receiving, _bytes_per_second)}"
        rows = f"{self.rows:,} rows{_rate(self.rows, self._receiving, _rows_per_second)}"
        return f"ready in {format_duration(self._clock() - self._began)}, {size}{f', {rows}' if self.rows else ''}"


def format_wait(waited: float, fraction: float | None, standing: QueuePosition | None) -> str:
    """Say how long the server has prepared a file, and how far it is."""
    known = known_fraction(fraction, standing)
    said = [f"waiting {format_duration(waited)}"]
    if standing and standing.ahead:
        said.append(f"{standing.ahead} {'job' if standing.ahead == 1 else 'jobs'} before it")
    elif known is not None:
        said.append(f"{known:.0%} prepared")
    return ", ".join(said)


def known_fraction(fraction: float | None, standing: QueuePosition | None) -> float | None:
    """Return how much is prepared; the queue knows better than the text of an answer."""
    return standing.fraction if standing else fraction


def format_bytes(size: float) -> str:
    """Say a number of bytes in the unit that a person would choose, as in ``4.7 MB``."""
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
