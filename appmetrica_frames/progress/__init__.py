"""What people see while they wait: bars in a terminal or a notebook, plain lines elsewhere and in the log."""

from __future__ import annotations

import logging
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from .bars import ProgressBar
from .lines import LogLines, ProgressLines
from .stream import SafeStream, has_audience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appmetrica_frames.logs_api.queue import QueuePosition

log = logging.getLogger("appmetrica_frames")


class ProgressReporter(Protocol):
    """Whom the package tells how far it is."""

    @property
    def is_visible(self) -> bool:
        """Whether anybody looks."""

    @property
    def interval(self) -> float:
        """Seconds after which it wants to be told again that a wait goes on."""

    def preparing(self, waited: float, fraction: float | None, standing: QueuePosition | None = None) -> None:
        """Show that the server prepares the file; `waited` in seconds, `fraction` from 0 to 1.

        Where the server's queue could be asked, `standing` knows better than `fraction`.
        """

    def downloading(self, size: int, total: int | None) -> None:
        """Show that so many bytes of the body have come, of so many if that is known."""

    def decoded(self, rows: int) -> None:
        """Show that so many rows of the export have been decoded."""

    def say(self, text: str) -> None:
        """Show a text once."""


class NullReporter:
    """Tells nobody."""

    is_visible = False
    interval = math.inf

    def preparing(self, waited: float, fraction: float | None, standing: QueuePosition | None = None) -> None:
        pass

    def downloading(self, size: int, total: int | None) -> None:
        pass

    def decoded(self, rows: int) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class CompositeReporter:
    """Tells several at once."""

    def __init__(self, reporters: Sequence[ProgressReporter]) -> None:
        self._reporters = reporters

    @property
    def is_visible(self) -> bool:
        return any(reporter.is_visible for reporter in self._reporters)

    @property
    def interval(self) -> float:
        return min(reporter.interval for reporter in self._reporters)

    def preparing(self, waited: float, fraction: float | None, standing: QueuePosition | None = None) -> None:
        for reporter in self._reporters:
            reporter.preparing(waited, fraction, standing)

    def downloading(self, size: int, total: int | None) -> None:
        for reporter in self._reporters:
            reporter.downloading(size, total)

    def decoded(self, rows: int) -> None:
        for reporter in self._reporters:
            reporter.decoded(rows)

    def say(self, text: str) -> None:
        for reporter in self._reporters:
            reporter.say(text)


@contextmanager
def report_progress(
    title: str, *, wanted: bool | None, clock: Callable[[], float] = time.monotonic
) -> Iterator[ProgressReporter]:
    """Give a watcher as the user wants it; by default bars where somebody can see them. The log is told in any case."""
    shown: list[ProgressBar | ProgressLines] = []
    if log.isEnabledFor(logging.INFO):
        shown.append(LogLines(title, log.info, clock=clock))
    if wanted is not False and has_audience():
        shown.append(ProgressBar(title, clock=clock))
    elif wanted:
        shown.append(ProgressLines(title, SafeStream().tell, clock=clock))
    try:
        yield shown[0] if len(shown) == 1 else CompositeReporter(shown) if shown else NullReporter()
        for reporter in shown:
            reporter.close(done=True)
    finally:
        for reporter in shown:
            reporter.close()
