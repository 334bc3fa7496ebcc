"""What users see while they wait: bars in a terminal or a notebook, plain lines elsewhere and in the log."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .reporter import CompositeReporter, NullReporter, ProgressReporter, QueuePosition, RangeReporter
from .stream import SafeStream, has_audience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .bars import ProgressBar
    from .lines import ProgressLines
    from .ranges import RangeView

__all__ = [
    "CompositeReporter",
    "NullReporter",
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
        from .lines import LogLines

        reporters.append(LogLines(title, log.info, clock=clock))
    if wanted is not False and has_audience():
        from .bars import ProgressBar

        reporters.append(ProgressBar(title, clock=clock))
    elif wanted:
        from .lines import ProgressLines

        reporters.append(ProgressLines(title, SafeStream().write_line, clock=clock))
    try:
        try:
            yield reporters[0] if len(reporters) == 1 else CompositeReporter(reporters) if reporters else NullReporter()
            _close(reporters, done=True)
        finally:
            _close(reporters)
    finally:
        _close(reporters)  # Ctrl-C may have cut the first one short


@contextmanager
def report_range(
    title: str, *, windows: int, wanted: bool | None, clock: Callable[[], float] = time.monotonic
) -> Iterator[RangeReporter]:
    """Yield the reporter of a range, whose windows report from several threads at once.

    Parameters
    ----------
    title, wanted, clock
        As for `report_progress`.
    windows
        How many windows the range has. Report those that the cache has first: the time left is estimated without them.
    """
    from .ranges import RangeProgress

    views: list[RangeView] = []
    if log.isEnabledFor(logging.INFO):
        from .lines import RangeLogLines

        views.append(RangeLogLines(title, log.info, clock=clock))
    if wanted is not False and has_audience():
        from .bars import RangeBar

        views.append(RangeBar(title, clock=clock))
    elif wanted:
        from .lines import RangeLines

        views.append(RangeLines(title, SafeStream().write_line, clock=clock))
    reporter = RangeProgress(windows, views, clock=clock)
    try:
        try:
            yield reporter
            reporter.close(done=True)
        finally:
            reporter.close()
    finally:
        reporter.close()  # Ctrl-C may have cut the first one short


def _close(reporters: list[ProgressBar | ProgressLines], *, done: bool = False) -> None:
    for reporter in reporters:
        reporter.close(done=done)
