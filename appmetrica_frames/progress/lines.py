"""Plain lines, where nothing can be drawn: in CI, in cron's mail, in files and in the log."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from .stats import TransferStats, format_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reporter import QueuePosition

REPEAT_SECONDS = (30.0, 300.0)  # between two lines without anything new: at first, and at most


class ProgressLines:
    """A plain line for each change, and less and less often for what goes on: for CI, cron and files."""

    def __init__(
        self, title: str, write: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_visible = True
        self.interval = REPEAT_SECONDS[0]
        self._title = title
        self._write_line = write
        self._clock = clock
        self._stats = TransferStats(clock=clock)
        self._reported: set[tuple[str, int]] = set()
        self._pause = REPEAT_SECONDS[0]
        self._due = -math.inf

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        self._stats.enter("waiting")
        if self._is_due("waiting", position.jobs_ahead if position else 0):
            self._write(format_wait(waited, fraction, position))

    def downloading(self, size: int, total: int | None) -> None:
        self._stats.enter("downloading", size)
        if self._is_due("downloading"):
            self._write(self._stats.downloaded(total))

    def decoded(self, rows: int) -> None:
        self._stats.rows = rows

    def message(self, text: str) -> None:
        self._stats.forget()
        self._write(text)

    def close(self, *, done: bool = False) -> None:
        """If the export is there, write its size and speed."""
        result = self._stats.result()
        if done and result:
            self._write(result)

    def _is_due(self, stage: str, ahead: int = 0) -> bool:
        # What was reported once is nothing new: an export in 64 parts waits and downloads 64 times.
        new, now = (stage, ahead) not in self._reported, self._clock()
        if not new and now < self._due:
            return False
        self._reported.add((stage, ahead))
        self._pause = REPEAT_SECONDS[0] if new else min(2 * self._pause, REPEAT_SECONDS[1])
        self._due = now + self._pause
        return True

    def _write(self, text: str) -> None:
        self._write_line(f"{self._title}: {text}")


class LogLines(ProgressLines):
    """Lines in the log, which has its own line with the reason for each message."""

    def message(self, text: str) -> None:  # noqa: ARG002 - it is logged elsewhere
        self._stats.forget()
