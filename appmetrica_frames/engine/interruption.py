"""How the threads of a call end before their work is done: at Ctrl-C, or after an error that concerns all of them."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appmetrica_frames.util.clock import Clock

SLICE = 0.1  # seconds after which a sleeping thread looks whether it is still wanted


class StoppedError(Exception):
    """The call is ending; nobody wants the result."""


class Interruption:
    """Ends waits and network reads in other threads."""

    def __init__(self) -> None:
        self._stopped = Event()
        self._aborts: set[Callable[[], None]] = set()
        self._lock = Lock()

    @property
    def is_stopped(self) -> bool:
        """Whether the call is ending."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise `StoppedError` if the call is ending."""
        if self._stopped.is_set():
            raise StoppedError

    def stop(self) -> None:
        """End every wait and every read from the network. May be called again."""
        self._stopped.set()
        with self._lock:
            aborts = list(self._aborts)
        for abort in aborts:
            abort()

    @contextmanager
    def aborting(self, abort: Callable[[], None]) -> Iterator[None]:
        """Call `abort`, from another thread, if the call ends while the block runs."""
        with self._lock:
            self._aborts.add(abort)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._aborts.discard(abort)


class InterruptibleClock:
    """A clock whose sleep ends when the call does."""

    def __init__(self, clock: Clock, interruption: Interruption) -> None:
        self._clock = clock
        self._interruption = interruption

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        # In slices, because any clock can sleep, and only some could be woken.
        self._interruption.check()
        while seconds > 0:
            self._clock.sleep(min(SLICE, seconds))
            seconds -= SLICE
            self._interruption.check()
