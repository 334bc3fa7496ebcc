"""Progress as plain lines, where nothing can be redrawn: in CI, in cron's mail, in files and in the log."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from appmetrica_frames.util.terminal import escape_controls

from .stats import TransferStats, describe_wait
from .wording import join_details

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .ranges import RangeStats
    from .reporter import QueuePosition

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0  # seconds between two lines of the same stage


class Pace:
    """When a line is due: at once for what is new, and ever less often while a stage lasts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: set[Hashable] = set()
        self._pause = FIRST_PAUSE
        self._due = -math.inf

    def is_due(self, stage: Hashable) -> bool:
        """Return whether a line on this stage is due; if so, the next one is due later."""
        # A stage is new once per export only: an export in 64 parts waits and downloads 64 times.
        new, now = stage not in self._seen, self._clock()
        if not new and now < self._due:
            return False
        self._seen.add(stage)
        self._pause = FIRST_PAUSE if new else min(2 * self._pause, LONGEST_PAUSE)
        self._due = now + self._pause
        return True


class ProgressLines:
    """A line for each new stage, and ever fewer lines while a stage lasts."""

    def __init__(
        self, title: str, write_line: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_visible = True
        self.interval = FIRST_PAUSE
        self._title = title
        self._write_line = write_line
        self._stats = TransferStats(clock=clock)
        self._pace = Pace(clock)

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        self._stats.enter("waiting")
        if self._pace.is_due(("waiting", position.jobs_ahead if position else 0)):
            self._write(join_details(describe_wait(waited, fraction, position)))

    def downloading(self, size: int, total: int | None) -> None:
        self._stats.enter("downloading", size)
        if self._pace.is_due("downloading"):
            self._write(join_details(self._stats.describe_download(total)))

    def decoded(self, rows: int) -> None:
        self._stats.rows = rows

    def message(self, text: str) -> None:
        self._stats.forget()
        self._write(text)

    def close(self, *, done: bool = False) -> None:
        """Print a summary if the export has arrived. May be called again."""
        summary = self._stats.format_summary()
        if done and summary:
            self._write(summary)

    def _write(self, text: str) -> None:
        self._write_line(escape_controls(f"{self._title}: {text}"))


class LogLines(ProgressLines):
    """Lines in the log, which has the messages already, each with its reason."""

    def message(self, text: str) -> None:  # noqa: ARG002 - it is logged where it arises
        self._stats.forget()


class RangeLines:
    """A line when a range starts, when its first window is prepared and when one fails; in between, ever fewer."""

    def __init__(
        self, title: str, write_line: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_visible = True
        self.interval = FIRST_PAUSE
        self._title = title
        self._write_line = write_line
        self._pace = Pace(clock)

    def show(self, stats: RangeStats) -> None:
        """Write a line if one is due; none before a window is requested."""
        if stats.has_begun and self._pace.is_due((stats.jobs_ahead, stats.has_prepared, stats.failed)):
            self._write(join_details(stats.describe()))

    def message(self, text: str) -> None:
        """Write a line."""
        self._write(text)

    def close(self, summary: str | None) -> None:
        """Write the summary if there is one."""
        if summary:
            self._write(summary)

    def _write(self, text: str) -> None:
        self._write_line(escape_controls(f"{self._title}: {text}"))


class RangeLogLines(RangeLines):
    """Lines of a range in the log, which has the messages already."""

    def message(self, text: str) -> None:
        pass
