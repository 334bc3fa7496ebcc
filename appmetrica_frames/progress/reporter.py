"""Who is told how far an export is: the interface that the rest of the package knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """How far a job in the server's queue is.

    Attributes
    ----------
    jobs_ahead
        The number of jobs before it.
    fraction
        How much of it is prepared, from 0 to 1.
    """

    jobs_ahead: int
    fraction: float


class ProgressReporter(Protocol):
    """Who is told how far an export is."""

    @property
    def is_visible(self) -> bool:
        """Whether anything is shown."""

    @property
    def interval(self) -> float:
        """Seconds after which it wants to be told again that a wait goes on."""

    def preparing(self, waited: float, fraction: float | None, position: QueuePosition | None = None) -> None:
        """Show that the server prepares the file; `waited` in seconds, `fraction` from 0 to 1.

        Where the server's queue is known, `position` is more exact than `fraction`.
        """

    def downloading(self, size: int, total: int | None) -> None:
        """Show how many bytes of the body have come, of how many if that is known."""

    def decoded(self, rows: int) -> None:
        """Show how many rows of the export have been decoded."""

    def message(self, text: str) -> None:
        """Show a message once."""


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
    """Tells several reporters."""

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
