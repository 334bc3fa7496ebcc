"""Whose turn it is with the server: it prepares the jobs of one application one after another, and queues three."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from appmetrica_frames.logs_api.steps import MAX_QUEUED_JOBS

if TYPE_CHECKING:
    from appmetrica_frames.request.part import Part


class ApplicationQueue:
    """The places in the server's queue for one application that jobs of this process take.

    The parts of one export share them with those of other exports of the application. A job that is queued ahead needs
    a place; the job that a call waits for is requested in any case, because its file may be ready and then needs none.
    """

    def __init__(self, size: int = MAX_QUEUED_JOBS) -> None:
        self._size = size
        self._taken = 0
        self._lock = Lock()

    def take(self, part: Part) -> bool:  # noqa: ARG002 - one place is as good as another
        """Take a place; return False if there is none."""
        with self._lock:
            is_free = self._taken < self._size
            self._taken += is_free
            return is_free

    def release(self, part: Part) -> None:  # noqa: ARG002 - likewise
        """Give a place back."""
        with self._lock:
            self._taken -= 1


_QUEUES: dict[tuple[str, int], ApplicationQueue] = {}
_QUEUES_LOCK = Lock()


def application_queue(origin: str, application_id: int) -> ApplicationQueue:
    """Return the queue of an application at a server, which all calls of this process share."""
    with _QUEUES_LOCK:
        return _QUEUES.setdefault((origin, application_id), ApplicationQueue())
