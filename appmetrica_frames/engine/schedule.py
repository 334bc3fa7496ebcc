"""Whose turn it is: the server prepares the jobs of an application one after another, and queues three.

Jobs are queued ahead, so that the server always has the next one, while files are downloaded and decoded. The places in
the queue are shared by all that fetch: the parts of an export, the windows of a range, the calls of this process, and
the processes that use the same cache.
"""

from __future__ import annotations

import os
from hashlib import sha256
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import TYPE_CHECKING

from appmetrica_frames.logs_api.steps import MAX_QUEUED_JOBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from appmetrica_frames.cache.locks import Locks

    from .interruption import Interruption

MAX_WINDOWS_AHEAD = MAX_QUEUED_JOBS + 2  # those in the server's queue, the one that is downloaded and the next
SLICE = 0.2  # seconds after which whoever waits looks whether the call is ending
KEY_LENGTH = 32
CORES_PER_DOWNLOAD = 2  # one to decompress and write, one to parse


class ApplicationQueue:
    """The places in the server's queue for one application that the jobs of this process take, in their order."""

    def __init__(self, key: str, size: int = MAX_QUEUED_JOBS) -> None:
        self._key = key
        self._size = size
        self._taken: list[_TakenPlace] = []
        self._waiting: list[object] = []
        self._lock = Lock()

    def take(self, locks: Locks | None = None, *, waiter: object = None) -> _TakenPlace | None:
        """Take a place; return None if there is none, or if others have waited for it longer.

        Parameters
        ----------
        locks
            Tell other processes that the place is taken.
        waiter
            Who may be waiting for it.
        """
        with self._lock:
            if self._count_before(waiter) >= self._size - len(self._taken):
                return None
            claim = self._claim(locks) if locks is not None else _release_nothing
            if claim is None:
                return None
            place = _TakenPlace(self, claim)
            self._taken.append(place)
            return place

    def wait(self, waiter: object) -> None:
        """Keep a place for whoever waits longest."""
        with self._lock:
            if waiter not in self._waiting:
                self._waiting.append(waiter)

    def stop_waiting(self, waiter: object) -> None:
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def is_first(self, place: _TakenPlace) -> bool:
        with self._lock:
            return self._taken[0] is place

    def is_last(self, place: _TakenPlace) -> bool:
        with self._lock:
            return self._taken[-1] is place

    def reuse(self, place: _TakenPlace) -> None:
        with self._lock:
            self._taken.remove(place)
            self._taken.append(place)

    def release(self, place: _TakenPlace) -> None:
        with self._lock:
            self._taken.remove(place)

    def _count_before(self, waiter: object) -> int:
        return self._waiting.index(waiter) if waiter in self._waiting else len(self._waiting)

    def _claim(self, locks: Locks) -> Callable[[], None] | None:
        """Hold one of the places' locks; return what releases it, or None if other processes hold them all."""
        try:
            claims = (locks.hold(f"{self._key}-place{number}") for number in range(self._size))
            return next((claim for claim in claims if claim is not None), None)
        except OSError:  # a cache that cannot be written to: the server keeps the limit
            return _release_nothing


class _TakenPlace:
    def __init__(self, queue: ApplicationQueue, claim: Callable[[], None]) -> None:
        self._queue = queue
        self._claim = claim

    @property
    def is_first(self) -> bool:
        return self._queue.is_first(self)

    @property
    def is_last(self) -> bool:
        return self._queue.is_last(self)

    def reuse(self) -> None:
        self._queue.reuse(self)

    def release(self) -> None:
        try:
            self._queue.release(self)
        finally:
            self._claim()


class SharedPlaces:
    """The places of an application's queue as one export uses them.

    Parameters
    ----------
    required
        Whether no job is requested without a place.
    """

    def __init__(self, queue: ApplicationQueue, locks: Locks | None, *, required: bool) -> None:
        self.required = required
        self._queue = queue
        self._locks = locks

    def take(self) -> _TakenPlace | None:
        """Take a place; return None if there is none."""
        return self._queue.take(self._locks, waiter=self)

    def wait(self) -> None:
        """Queue for the next place: those who have waited longer go first."""
        self._queue.wait(self)

    def stop_waiting(self) -> None:
        """Leave that queue."""
        self._queue.stop_waiting(self)


class DownloadGate:
    """Lets one or two files be downloaded and decoded at once: enough to keep the cores busy, in bounded memory."""

    def __init__(self, slots: BoundedSemaphore, interruption: Interruption) -> None:
        self._slots = slots
        self._interruption = interruption

    def enter(self, timeout: float | None = None) -> bool:
        """Enter as soon as a slot is free; return False if none is in so many seconds."""
        deadline = None if timeout is None else monotonic() + timeout
        while not self._slots.acquire(timeout=SLICE):
            self._interruption.check()
            if deadline is not None and monotonic() >= deadline:
                return False
        return True

    def leave(self) -> None:
        """Free the slot."""
        self._slots.release()


def application_queue(origin: str, application_id: int) -> ApplicationQueue:
    """Return the queue of an application at a server, which all calls of this process share."""
    key = sha256(f"{origin} {application_id}".encode()).hexdigest()[:KEY_LENGTH]
    with _SHARED.lock:
        return _SHARED.queues.setdefault(key, ApplicationQueue(key))


def download_gate(interruption: Interruption) -> DownloadGate:
    """Return the gate that all calls of this process share."""
    return DownloadGate(_SHARED.downloads, interruption)


def _count_downloads() -> int:
    return 1 if (os.cpu_count() or 1) <= CORES_PER_DOWNLOAD else 2


def _release_nothing() -> None:
    pass


class _Shared:
    """What all calls of this process share."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.lock = Lock()
        self.queues: dict[str, ApplicationQueue] = {}
        self.downloads = BoundedSemaphore(_count_downloads())


_SHARED = _Shared()
if hasattr(os, "register_at_fork"):
    # A forked child has no thread that would give back what was taken when it was forked.
    os.register_at_fork(after_in_child=_SHARED.reset)
