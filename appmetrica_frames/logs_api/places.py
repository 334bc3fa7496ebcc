"""The places in the server's queue of an application: three jobs may be there at once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from .steps import MAX_QUEUED_JOBS

if TYPE_CHECKING:
    from appmetrica_frames.request.part import Part


class Place(Protocol):
    """A place that is taken."""

    @property
    def is_first(self) -> bool:
        """Whether all places that were taken before it have been given back: the server works on this job next."""

    @property
    def is_last(self) -> bool:
        """Whether no place has been taken after it: the server has nothing to go on with."""

    def reuse(self) -> None:
        """Use the place for another job, which is behind all that have a place now."""

    def release(self) -> None:
        """Give the place back."""


class QueuePlaces(Protocol):
    """The places that an export may use.

    Attributes
    ----------
    required
        Whether no job is requested without a place. Otherwise the job that the export waits for is requested in any
        case: its file may be ready, and then it needs none.
    """

    required: bool

    def take(self) -> Place | None:
        """Take a place; return None if there is none."""

    def wait(self) -> None:
        """Queue for the next place: those who have waited longer go first."""

    def stop_waiting(self) -> None:
        """Leave that queue."""


class ExportPlaces:
    """The places of an export that has the server's queue to itself."""

    required = False

    def __init__(self, limit: int = MAX_QUEUED_JOBS) -> None:
        self._limit = limit
        self._taken: list[_OwnPlace] = []

    def take(self) -> Place | None:
        if len(self._taken) >= self._limit:
            return None
        place = _OwnPlace(self._taken)
        self._taken.append(place)
        return place

    def wait(self) -> None:
        """Do nothing: no other export takes the places."""

    def stop_waiting(self) -> None:
        """Do nothing."""


class _OwnPlace:
    def __init__(self, taken: list[_OwnPlace]) -> None:
        self._taken = taken

    @property
    def is_first(self) -> bool:
        return self._taken[0] is self

    @property
    def is_last(self) -> bool:
        return self._taken[-1] is self

    def reuse(self) -> None:
        self._taken.remove(self)
        self._taken.append(self)

    def release(self) -> None:
        self._taken.remove(self)


class PlaceKeeper:
    """Knows which places an export has taken for its parts, so that each is taken once and given back once.

    An export that starts again in more parts leaves jobs behind that nobody will ask for. They keep their places until
    a later job is done, because the server prepares them first.
    """

    def __init__(self, places: QueuePlaces) -> None:
        self._places = places
        self._taken: dict[Part, Place] = {}
        self._abandoned: list[Place] = []
        self._spare: list[Place] = []  # of jobs that the server has dropped, or finished

    def take(self, part: Part) -> bool:
        """Take a place for a part, unless it has one; return whether it has one now."""
        self._abandon_other_counts(part.count)
        if part in self._taken:
            return True
        place = self._reuse(self._spare) or self._places.take()
        if place is None and part.number == 0:
            place = self._reuse(self._abandoned)  # exports must not wait for the places of each other's abandoned jobs
        if place is None:
            return False
        self._taken[part] = place
        return True

    def may_request(self, part: Part) -> bool:
        """Take a place for the part whose turn it is; return whether it may be requested now.

        An export that has a place does not wait for another one: exports that each wait for what the others have would
        wait for ever. It can come to that when a later part has a place already, and the file of this one is there.
        """
        may_request = self.take(part) or not self._places.required or bool(self._taken)
        (self._places.stop_waiting if may_request else self._places.wait)()
        return may_request

    def must_wait(self, part: Part) -> bool:
        """Take a place for a part, unless it has one; return whether there is none, or others come before it."""
        return self.is_behind(part) if part in self._taken else not self.may_request(part)

    def is_behind(self, part: Part) -> bool:
        """Return whether jobs that were queued before a part's are still with the server."""
        place = self._taken.get(part)
        return place is not None and not place.is_first

    def is_followed(self, part: Part) -> bool:
        """Return whether jobs of the same range were queued after a part's."""
        place = self._taken.get(part)
        return self._places.required and place is not None and not place.is_last

    def finish(self, part: Part) -> None:
        """Give back the place of a part whose file is there, and those of the jobs that were abandoned before it."""
        self.release(part)
        self._release_abandoned()

    def release(self, part: Part) -> None:
        """Give back the place of a part, if it has one: the server does not have the job."""
        place = self._taken.pop(part, None)
        if place is not None:
            place.release()

    def drop(self, part: Part) -> None:
        """Keep the place of a part, if it has one, for the next job: the server does not have the part's any more."""
        place = self._taken.pop(part, None)
        if place is not None:
            self._spare.append(place)

    def release_all(self) -> None:
        """Give back every place, whatever happens on the way."""
        with ExitStack() as scope:
            scope.callback(self._places.stop_waiting)
            for place in (*self._taken.values(), *self._abandoned, *self._spare):
                scope.callback(place.release)
            self._taken.clear()
            self._abandoned.clear()
            self._spare.clear()

    def _reuse(self, places: list[Place]) -> Place | None:
        if not places:
            return None
        places[-1].reuse()
        return places.pop()

    def _release_abandoned(self) -> None:
        while self._abandoned:
            self._abandoned.pop().release()

    def _abandon_other_counts(self, count: int) -> None:
        for part in tuple(self._taken):
            if part.count != count:
                self._abandoned.append(self._taken.pop(part))
