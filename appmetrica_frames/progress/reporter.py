"""The interface through which the package reports progress, and reporters that show nothing or pass it on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where a job is in the server's queue.

    Attributes
    ----------
    jobs_ahead
        The number of jobs before it in the queue.
    fraction
        How much of it is prepared, from 0 to 1.
    """

    jobs_ahead: int
    fraction: float


class ProgressReporter(Protocol):
    """Receives the progress of one export."""

    @property
    def is_visible(self) -> bool:
        """Whether anybody can see what is reported."""

    @property
    def interval(self) -> float:
        """Seconds between two reports of the same wait."""

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        """Report that the server prepares the file.

        Parameters
        ----------
        waited
            Seconds since the wait began.
        fraction
            How much is prepared, from 0 to 1, according to the export's own answer.
        position
            The job's position in the queue; more precise than `fraction`.
        """

    def downloading(self, size: int, total: int | None) -> None:
        """Report that `size` bytes of the body have arrived, of `total` if that is known."""

    def decoded(self, rows: int) -> None:
        """Report that `rows` rows of the export have been decoded."""

    def message(self, text: str) -> None:
        """Report an event that is shown once."""


class RangeReporter(Protocol):
    """Receives the progress of all windows of a range, from several threads at once."""

    def open_window(self, label: str) -> ProgressReporter:
        """Return the reporter of a window that is in progress from now on.

        One thread at a time reports to it. `label` tells the window apart in messages, as in ``2024-07-01``.
        """

    def finish_window(self, reporter: ProgressReporter | None, *, cached: bool) -> None:
        """Report that a window is there.

        Parameters
        ----------
        reporter
            What `open_window` returned, if the window was in progress.
        cached
            Whether it came from the cache: such windows do not count in the estimate of the time left.
        """

    def fail_window(self, reporter: ProgressReporter) -> None:
        """Report that a window in progress will not come."""

    def message(self, text: str) -> None:
        """Report an event. Messages of the same text are shown once."""


class NullReporter:
    """Shows nothing."""

    is_visible = False
    interval = math.inf

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        pass

    def downloading(self, size: int, total: int | None) -> None:
        pass

    def decoded(self, rows: int) -> None:
        pass

    def message(self, text: str) -> None:
        pass


class CompositeReporter:
    """Passes every report on to several reporters."""

    def __init__(self, reporters: Sequence[ProgressReporter]) -> None:
        self._reporters = reporters

    @property
    def is_visible(self) -> bool:
        return any(reporter.is_visible for reporter in self._reporters)

    @property
    def interval(self) -> float:
        return min(reporter.interval for reporter in self._reporters)

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        for reporter in self._reporters:
            reporter.preparing(waited, fraction, position)

    def downloading(self, size: int, total: int | None) -> None:
        for reporter in self._reporters:
            reporter.downloading(size, total)

    def decoded(self, rows: int) -> None:
        for reporter in self._reporters:
            reporter.decoded(rows)

    def message(self, text: str) -> None:
        for reporter in self._reporters:
            reporter.message(text)
