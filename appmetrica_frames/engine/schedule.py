"""Whose turn it is with the server: it prepares the jobs of one application one after another, and queues three."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from appmetrica_frames.request.part import Part

MAX_QUEUED_JOBS = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


class ApplicationQueue:
    """The places in the server's queue for one application that jobs of this process take.

    The parts of one export share them with those of other exports of the application. A place is taken for a job that
    is queued ahead; the job that a call waits for is always requested: its file may be ready, and then needs no place.
    """

    def __init__(self, size: int = MAX_QUEUED_JOBS) -> None:
        self._size = size
        self._taken = 0
        self._lock = Lock()

    def enter(self) -> None:
        """Take a place for a job that is waited for, be there one or not."""
        with self._lock:
            self._taken += 1

    def try_enter(self) -> bool:
        """Take a place for a job that is queued ahead, if there is one."""
        with self._lock:
            if self._taken >= self._size:
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= 1


class QueuePlaces:
    """The places that the parts of one export hold in the queue of their application."""

    def __init__(self, queue: ApplicationQueue) -> None:
        self._queue = queue
        self._held: set[Part] = set()

    def hold(self, part: Part) -> None:
        """Hold a place for the part that is waited for."""
        if part not in self._held:
            self._queue.enter()
            self._held.add(part)

    def take(self, part: Part) -> bool:
        """Hold a place for a part that is queued ahead, if there is one; tell whether it is held."""
        if part not in self._held and self._queue.try_enter():
            self._held.add(part)
        return part in self._held

    def release(self, part: Part) -> None:
        """Give back the place of a part whose file is there, if it holds one."""
        if part in self._held:
            self._held.remove(part)
            self._queue.leave()

    def release_all(self) -> None:
        """Give back every place."""
        for part in [*self._held]:
            self.release(part)


_QUEUES: dict[tuple[str, int], ApplicationQueue] = {}
_QUEUES_LOCK = Lock()


def queue_places(origin: str, application_id: int) -> QueuePlaces:
    """Return the places for one export in its application's queue, which all calls of this process share."""
    with _QUEUES_LOCK:
        queue = _QUEUES.setdefault((origin, application_id), ApplicationQueue())
    return QueuePlaces(queue)


def run_schedule(windows: Iterable[Item], resolve: Callable[[Item], Result]) -> list[Result]:
    """Resolve the windows of a plan and return their results in order."""
    return [resolve(window) for window in windows]
