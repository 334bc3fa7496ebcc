"""Progress as plain lines, where nothing can be redrawn: in CI, in cron's mail, in files and in the log."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from appmetrica_frames.util.terminal import escape_controls

from .stats import TransferStats, format_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reporter import QueuePosition

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0  # seconds between two lines of the same stage


class ProgressLines:
    """A line for each new stage, and ever fewer lines while a stage lasts."""

    def __init__(
        self, title: str, write_line: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_visible = True
        self.interval = FIRST_PAUSE
        self._title = title
        self._write_line = write_line
        self._clock = clock
        self._stats = TransferStats(clock=clock)
        self._reported: set[tuple[str, int]] = set()
        self._pause = FIRST_PAUSE
        self._due = -math.inf

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        self._stats.enter("waiting")
        if self._is_due("waiting", position.jobs_ahead if position else 0):
            self._write(format_wait(waited, fraction, position))

    def downloading(self, size: int, total: int | None) -> None:
        self._stats.enter("downloading", size)
        if self._is_due("downloading"):
            self._write(self._stats.format_download(total))

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

    def _is_due(self, stage: str, jobs_ahead: int = 0) -> bool:
        # A stage is new once per export only: an export in 64 parts waits and downloads 64 times.
        new, now = (stage, jobs_ahead) not in self._reported, self._clock()
        if not new and now < self._due:
            return False
        self._reported.add((stage, jobs_ahead))
        self._pause = FIRST_PAUSE if new else min(2 * self._pause, LONGEST_PAUSE)
        self._due = now + self._pause
        return True

    def _write(self, text: str) -> None:
        self._write_line(escape_controls(f"{self._title}: {text}"))


class LogLines(ProgressLines):
    """Lines in the log, which has the messages already, each with its reason."""

    def message(self, text: str) -> None:  # noqa: ARG002 - it is logged where it arises
        self._stats.forget()
