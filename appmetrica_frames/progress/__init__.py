"""What users see while they wait: bars in a terminal or a notebook, plain lines elsewhere and in the log."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .bars import ProgressBar
from .lines import LogLines, ProgressLines
from .ranges import RangeReporter, report_range
from .reporter import CompositeReporter, NullReporter, ProgressReporter, QueuePosition
from .stream import SafeStream, has_audience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "CompositeReporter",
    "LogLines",
    "NullReporter",
    "ProgressBar",
    "ProgressLines",
    "ProgressReporter",
    "QueuePosition",
    "RangeReporter",
    "SafeStream",
    "has_audience",
    "report_progress",
    "report_range",
]

log = logging.getLogger("appmetrica_frames")


@contextmanager
def report_progress(
    title: str, *, wanted: bool | None, clock: Callable[[], float] = time.monotonic
) -> Iterator[ProgressReporter]:
    """Yield the reporter of an export.

    Parameters
    ----------
    title
        What every line begins with.
    wanted
        False shows nothing, True shows plain lines where no bar can be shown, None shows bars only. The log gets its
        lines in each case.
    clock
        Returns seconds that never go backwards.
    """
    reporters: list[ProgressBar | ProgressLines] = []
    if log.isEnabledFor(logging.INFO):
        reporters.append(LogLines(title, log.info, clock=clock))
    if wanted is not False and has_audience():
        reporters.append(ProgressBar(title, clock=clock))
    elif wanted:
        reporters.append(ProgressLines(title, SafeStream().write_line, clock=clock))
    try:
        try:
            yield reporters[0] if len(reporters) == 1 else CompositeReporter(reporters) if reporters else NullReporter()
            _close(reporters, done=True)
        finally:
            _close(reporters)
    finally:
        _close(reporters)  # Ctrl-C may have cut the first one short


def _close(reporters: list[ProgressBar | ProgressLines], *, done: bool = False) -> None:
    for reporter in reporters:
        reporter.close(done=done)
