"""Plain lines, where nothing can be drawn: in CI, in cron's mail, in files and in the log."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from .stats import TransferStats, format_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from appmetrica_frames.logs_api.queue import QueuePosition

REPEATED = (30.0, 300.0)  # seconds between two lines that say nothing new: at first, and at most


class ProgressLines:
    """A plain line for what is new, and ever more rarely for what goes on: for CI, cron and files."""

    def __init__(self, title: str, tell: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_visible = True
        self.interval = REPEATED[0]
        self._title = title
        self._tell = tell
        self._clock = clock
        self._stats = TransferStats(clock=clock)
        self._told: set[tuple[str, int]] = set()
        self._pause = REPEATED[0]
        self._due = -math.inf

    def preparing(self, waited: float, fraction: float | None, standing: QueuePosition | None = None) -> None:
        self._stats.enter("waiting")
        if self._is_due("waiting", standing.ahead if standing else 0):
            self._write(format_wait(waited, fraction, standing))

    def downloading(self, size: int, total: int | None) -> None:
        self._stats.enter("downloading", size)
        if self._is_due("downloading"):
            self._write(self._stats.downloaded(total))

    def decoded(self, rows: int) -> None:
        self._stats.rows = rows

    def say(self, text: str) -> None:
        self._stats.forget()
        self._write(text)

    def close(self, *, done: bool = False) -> None:
        """If the export is there, say so."""
        result = self._stats.result()
        if done and result:
            self._write(result)

    def _is_due(self, stage: str, ahead: int = 0) -> bool:
        # What was told once is nothing new: an export in 64 parts waits and downloads 64 times.
        new, now = (stage, ahead) not in self._told, self._clock()
        if not new and now < self._due:
            return False
        self._told.add((stage, ahead))
        self._pause = REPEATED[0] if new else min(2 * self._pause, REPEATED[1])
        self._due = now + self._pause
        return True

    def _write(self, text: str) -> None:
        self._tell(f"{self._title}: {text}")


class LogLines(ProgressLines):
    """Lines in the log, where a text that is said once already stands, with its reason."""

    def say(self, text: str) -> None:  # noqa: ARG002 - it is said elsewhere
        self._stats.forget()
