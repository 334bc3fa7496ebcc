"""What people see while they wait: a bar in a terminal or a notebook, plain lines elsewhere and in the log."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .bars import ProgressBar
from .lines import LogLines, ProgressLines
from .reporter import CompositeReporter, NullReporter, ProgressReporter, QueuePosition
from .stream import SafeStream, has_audience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CompositeReporter", "NullReporter", "ProgressReporter", "QueuePosition", "report_progress"]

log = logging.getLogger("appmetrica_frames")


@contextmanager
def report_progress(
    title: str, *, wanted: bool | None, clock: Callable[[], float] = time.monotonic
) -> Iterator[ProgressReporter]:
    """Give a reporter as the user wants it; by default a bar where somebody can see it. The log is told in any case."""
    reporters: list[ProgressBar | ProgressLines] = []
    if log.isEnabledFor(logging.INFO):
        reporters.append(LogLines(title, log.info, clock=clock))
    if wanted is not False and has_audience():
        reporters.append(ProgressBar(title, clock=clock))
    elif wanted:
        reporters.append(ProgressLines(title, SafeStream().write_line, clock=clock))
    try:
        yield reporters[0] if len(reporters) == 1 else CompositeReporter(reporters) if reporters else NullReporter()
        for reporter in reporters:
            reporter.close(done=True)
    finally:
        for reporter in reporters:
            _close(reporter)


def _close(reporter: ProgressBar | ProgressLines) -> None:
    """Take a bar away, even if Ctrl-C is pressed meanwhile."""
    try:
        reporter.close()
    except KeyboardInterrupt:
        reporter.close()
        raise
