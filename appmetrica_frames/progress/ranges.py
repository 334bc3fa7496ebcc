"""The progress of a range: its windows, reported by several threads at once, as numbers and as text."""

from __future__ import annotations

import math
import time
from threading import RLock
from typing import TYPE_CHECKING, Protocol

from appmetrica_frames.util.durations import format_duration

from .stats import TransferStats, format_bytes
from .wording import Detail, count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .reporter import ProgressReporter, QueuePosition

FINE = 60.0  # seconds from which on the time left is said in minutes


class RangeStats:
    """Counts the windows of a range, with their bytes and rows, and estimates the time left.

    Attributes
    ----------
    windows
        How many windows the range has.
    cached, fetched, failed
        How many of them came from the cache or from the server, or will not come.
    """

    def __init__(self, windows: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.windows = windows
        self.cached = self.fetched = self.failed = 0
        self._clock = clock
        self._started_at = clock()
        self._preparing_since: float | None = None
        self._prepared = 0  # windows whose file the server has prepared
        self._prepared_at = 0.0  # when the last of them was
        self._received = 0  # bytes of the windows that are no longer in progress
        self._rows = 0  # their rows
        self._open: set[WindowReporter] = set()

    @property
    def done(self) -> int:
        """The windows that are there."""
        return self.cached + self.fetched

    @property
    def jobs_ahead(self) -> int:
        """The jobs before the first of the range in the server's queue; 0 once the server has begun with that one."""
        ahead = [window.jobs_ahead for window in self._open if window.jobs_ahead is not None]
        return min(ahead, default=0) if not self.has_prepared else 0

    @property
    def has_begun(self) -> bool:
        """Whether a window has been in progress."""
        return self._preparing_since is not None

    @property
    def has_prepared(self) -> bool:
        """Whether the server has prepared a window."""
        return self._prepared > 0

    @property
    def _downloading(self) -> int:
        return sum(window.transfer.stage == "downloading" for window in self._open)

    def open(self, window: WindowReporter) -> None:
        """Count a window as in progress."""
        if self._preparing_since is None:
            self._preparing_since = self._clock()
        self._open.add(window)

    def mark_prepared(self, window: WindowReporter) -> None:
        """Count a window as prepared by the server, as of now; again with each of its parts."""
        self._prepared += not window.is_prepared
        self._prepared_at = self._clock()
        window.is_prepared = True

    def close(self, window: WindowReporter) -> None:
        """Count a window as no longer in progress, and add up what it received."""
        if window in self._open:
            self._open.remove(window)
            self._received += window.transfer.received
            self._rows += window.transfer.rows

    def time_left(self) -> float | None:
        """Estimate the seconds until the server has prepared all windows; None before it has prepared the first.

        The server prepares one after another, so each takes the time that passes between two.
        """
        left = self.windows - self.done - self.failed - self._downloading
        if self._preparing_since is None or not self.has_prepared or left <= 0:
            return None
        each = (self._prepared_at - self._preparing_since) / self._prepared
        since = self._clock() - self._prepared_at
        return each * left - min(since, each)

    def describe(self) -> list[Detail]:
        """Describe how far the range is."""
        downloading = self._downloading
        preparing = len(self._open) - downloading
        received = self._received + sum(window.transfer.received for window in self._open)
        left = self.time_left()
        details = (
            (self.windows, Detail(f"{self.done:,} of {count_of(self.windows, 'window')}")),
            (self.failed, Detail(f"{self.failed:,} failed", 1)),
            (self.jobs_ahead, Detail(f"{count_of(self.jobs_ahead, 'job')} before the first", 1)),
            (preparing, Detail(f"{preparing} preparing", 2)),
            (downloading, Detail(f"{downloading} downloading", 3)),
            (received, Detail(format_bytes(received), 4)),
            (left is not None, Detail(_format_left(left or 0.0))),
        )
        return [detail for is_there, detail in details if is_there]

    def format_summary(self) -> str:
        """Describe the whole range once it is there."""
        parts = [f"{count_of(self.cached, 'window')} from the cache"] if self.cached else []
        if self.fetched:
            fetched = f"{self.fetched:,}" if parts else count_of(self.fetched, "window")
            parts.append(f"{fetched} fetched ({format_bytes(self._received)}, {count_of(self._rows, 'row')})")
        return f"ready in {format_duration(self._clock() - self._started_at)}: {', '.join(parts)}"


def _format_left(seconds: float) -> str:
    """Say a time left no more precisely than it can be known."""
    return f"about {format_duration(max(1.0, seconds) if seconds < FINE else round(seconds / 60) * 60)} left"


class RangeView(Protocol):
    """Shows the progress of a range in one place."""

    @property
    def is_visible(self) -> bool:
        """Whether anybody can see it."""

    @property
    def interval(self) -> float:
        """Seconds between two reports of the same wait."""

    def show(self, stats: RangeStats) -> None:
        """Show how far the range is, if something new is due."""

    def message(self, text: str) -> None:
        """Show an event once."""

    def close(self, summary: str | None) -> None:
        """Show nothing any more but the summary, if there is one. May be called again."""


class RangeProgress:
    """Takes the reports of all windows, from several threads at once, to every place where they are shown."""

    def __init__(self, windows: int, views: Sequence[RangeView], *, clock: Callable[[], float]) -> None:
        self.stats = RangeStats(windows, clock=clock)
        self.clock = clock
        self._views = views
        self._told: set[str] = set()
        self._is_closed = False
        self._lock = RLock()

    @property
    def is_visible(self) -> bool:
        """Whether anybody can see what is reported."""
        return any(view.is_visible for view in self._views)

    @property
    def interval(self) -> float:
        """Seconds between two reports of the same wait."""
        return min((view.interval for view in self._views), default=math.inf)

    def open_window(self, label: str) -> ProgressReporter:
        """Return the reporter of a window that is in progress from now on."""
        window = WindowReporter(label, self)
        self.update(lambda: self.stats.open(window))
        return window

    def finish_window(self, reporter: ProgressReporter | None, *, cached: bool) -> None:
        """Count a window that is there: from the cache, or fetched."""
        self.update(lambda: self._finish(reporter, cached=cached))

    def fail_window(self, reporter: ProgressReporter) -> None:
        """Count a window that will not come."""
        self.update(lambda: self._fail(reporter))

    def message(self, text: str) -> None:
        """Show an event. What happens to many windows in the same way is shown once."""
        with self._lock:
            if not self._is_closed and text not in self._told:
                self._told.add(text)
                for view in self._views:
                    view.message(text)

    def update(self, change: Callable[[], None]) -> None:
        """Change the numbers, and show them unless the range has ended."""
        with self._lock:
            change()
            if not self._is_closed:
                for view in self._views:
                    view.show(self.stats)

    def close(self, *, done: bool = False) -> None:
        """Show nothing any more, but a summary if all windows are there. May be called again."""
        with self._lock:
            self._is_closed = True
            summary = self.stats.format_summary() if done and self.stats.done else None
            for view in self._views:
                view.close(summary)

    def _finish(self, reporter: ProgressReporter | None, *, cached: bool) -> None:
        self._close_window(reporter)
        self.stats.cached += cached
        self.stats.fetched += not cached

    def _fail(self, reporter: ProgressReporter) -> None:
        self._close_window(reporter)
        self.stats.failed += 1

    def _close_window(self, reporter: ProgressReporter | None) -> None:
        if isinstance(reporter, WindowReporter):
            self.stats.close(reporter)


class WindowReporter:
    """Takes the reports of one window of a range.

    Attributes
    ----------
    jobs_ahead
        The jobs before this one in the server's queue, while that is known.
    is_prepared
        Whether the server has prepared it, or its first part.
    """

    def __init__(self, label: str, whole: RangeProgress) -> None:
        self.transfer = TransferStats(clock=whole.clock)
        self.jobs_ahead: int | None = None
        self.is_prepared = False
        self._label = label
        self._whole = whole

    @property
    def is_visible(self) -> bool:
        return self._whole.is_visible

    @property
    def interval(self) -> float:
        return self._whole.interval

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:  # noqa: ARG002 - the range's line does not show them
        self._whole.update(lambda: self._prepare(position))

    def downloading(self, size: int, total: int | None) -> None:  # noqa: ARG002 - likewise
        self._whole.update(lambda: self._download(size))

    def decoded(self, rows: int) -> None:
        self.transfer.rows = rows

    def message(self, text: str) -> None:
        self._whole.message(f"{self._label}: {text}")

    def _prepare(self, position: QueuePosition | None) -> None:
        self.transfer.enter("waiting")
        self.jobs_ahead = position.jobs_ahead if position else None

    def _download(self, size: int) -> None:
        self.jobs_ahead = None
        if self.transfer.enter("downloading", size):
            self._whole.stats.mark_prepared(self)
