"""Progress as one line that is redrawn in place, in a terminal or in a notebook."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from .stats import TransferStats, best_fraction, describe_wait
from .status_line import StatusLine, never_fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ranges import RangeStats
    from .reporter import QueuePosition

REDRAW_INTERVAL = 0.1  # seconds between two updates of a download


class ProgressBar:
    """One line that shows the stage, waiting or downloading, and a line at the end that stays."""

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_visible = True
        self.interval = 1.0
        self._clock = clock
        self._stats = TransferStats(clock=clock)
        self._line = StatusLine(title)
        self._drawn_at = -math.inf

    @never_fail
    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        if self._stats.enter("waiting"):
            self._clear()
        details = describe_wait(waited, fraction, position)
        self._line.draw(details, best_fraction(fraction, position) or 0.0, total=1.0)

    @never_fail
    def downloading(self, size: int, total: int | None) -> None:
        if self._stats.enter("downloading", size):
            self._clear()
        now = self._clock()
        if now - self._drawn_at < REDRAW_INTERVAL and size != total:
            return
        self._drawn_at = now
        self._line.draw(self._stats.describe_download(total), size, total=total)

    @never_fail
    def decoded(self, rows: int) -> None:
        self._stats.rows = rows

    @never_fail
    def message(self, text: str) -> None:
        self._clear()
        self._stats.forget()  # no summary of the transfer follows a message
        self._line.write(text)

    @never_fail
    def close(self, *, done: bool = False) -> None:
        """Remove the bar; print a summary if the export has arrived. May be called again."""
        self._clear()
        summary = self._stats.format_summary()
        if done and summary:
            self._line.write(summary)

    def _clear(self) -> None:
        self._drawn_at = -math.inf
        self._line.clear()


class RangeBar:
    """One line for all windows of a range, and a line at the end that stays."""

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_visible = True
        self.interval = 1.0
        self._clock = clock
        self._line = StatusLine(title)
        self._drawn_at = -math.inf

    @never_fail
    def show(self, stats: RangeStats) -> None:
        """Draw the line, unless that was done a moment ago."""
        now = self._clock()
        if now - self._drawn_at >= REDRAW_INTERVAL:
            self._drawn_at = now
            self._line.draw(stats.describe(), stats.done, total=stats.windows)

    @never_fail
    def message(self, text: str) -> None:
        """Write a line above the bar."""
        self._line.write(text)

    @never_fail
    def close(self, summary: str | None) -> None:
        """Remove the bar, and write the summary if there is one. May be called again."""
        self._line.clear()
        if summary:
            self._line.write(summary)
