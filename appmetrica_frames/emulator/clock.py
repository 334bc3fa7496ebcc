"""The clock of the emulator, which tests move instead of waiting."""

from __future__ import annotations

import time
from threading import Lock
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time and can be moved forward."""

    def now(self) -> float: ...

    def advance(self, seconds: float) -> None: ...


class MovableClock:
    """A clock that can be moved.

    Parameters
    ----------
    start : float, optional
        UNIX seconds. If given, the clock starts there and moves only with `advance`; otherwise it is real time plus
        all advances.

    Examples
    --------
    >>> from appmetrica_frames.emulator import MovableClock
    >>> clock = MovableClock(start=1_700_000_000)
    >>> clock.advance(60)
    >>> clock.now()
    1700000060.0
    """

    def __init__(self, start: float | None = None) -> None:
        self._start = start
        self._moved = 0.0
        self._lock = Lock()

    def now(self) -> float:
        """Return the time in UNIX seconds."""
        with self._lock:
            return (time.time() if self._start is None else self._start) + self._moved

    def advance(self, seconds: float) -> None:
        """Move the clock forward by some seconds."""
        with self._lock:
            self._moved += seconds
