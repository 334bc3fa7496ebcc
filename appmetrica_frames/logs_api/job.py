"""An export with the server: in how many parts, what of it the server has accepted, and which header goes next."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from appmetrica_frames.request.part import Part

from .steps import SendRequest, max_age_since, parse_max_age

if TYPE_CHECKING:
    from .steps import Response, ResumedJob

OK, ACCEPTED = HTTPStatus.OK, HTTPStatus.ACCEPTED


@dataclass(slots=True)
class ExportJob:
    """An export in a number of parts, and what the server has accepted of it.

    Attributes
    ----------
    resumed
        The job that an earlier call started, as long as this is it.
    older_file_at
        The latest instant at which the server is known to have had an older file, if it is.
    accepted
        The parts that the server has accepted: they are requested without a header.
    unverified
        Those of them whose file an older one could be taken for: the server answered 202, and had no file, or none that
        is young enough.
    doubted
        Those of them of which the server has a file, which is an older one if the job was lost.
    probed
        The parts of a resumed job of which there is a file, of unknown age.
    tried_ahead
        The parts that were requested ahead of their turn.
    requested_at
        When the first request that the server accepted was sent.
    built_since
        The instant since which the other parts must have been built.
    oldest
        The earliest instant at which a part can have been built.
    waited
        Whether a part was waited for.
    """

    count: int
    cache_control: str | None
    resumed: ResumedJob | None = None
    older_file_at: float | None = None
    accepted: set[Part] = field(default_factory=set)
    unverified: set[Part] = field(default_factory=set)
    doubted: set[Part] = field(default_factory=set)
    probed: set[Part] = field(default_factory=set)
    tried_ahead: set[Part] = field(default_factory=set)
    requested_at: float | None = None
    built_since: float | None = None
    oldest: float = 0.0
    waited: bool = False

    @property
    def parts(self) -> list[Part]:
        return [Part(number, self.count) for number in range(self.count)]

    def is_probe(self, part: Part) -> bool:
        """Return whether the next request for a part only asks what there is of a resumed job."""
        return self.resumed is not None and part not in self.accepted and part not in self.probed

    def request(self, part: Part) -> SendRequest:
        """Return the next request for a part."""
        if part in self.doubted:
            return SendRequest(None, part, self._verified_since(part))
        if part in self.accepted or self.is_probe(part):
            return SendRequest(None, part, keeps_place=self._can_be_older(part))
        if part.number == 0:
            return SendRequest("no-cache" if self.count > 1 else self.cache_control, part)
        return SendRequest(None, part, self.built_since)

    def accept(self, part: Part, response: Response) -> bool:
        """Take a 202 or 200 to the next request for a part; return False if the request has to be sent once more."""
        if self.is_lost(part, response):
            self._replace_lost(part, response)
        if response.status == OK and not self._accept_file(part, response):
            return False
        if part.number == 0 and self.requested_at is None:
            self._date(response)
        if response.status == ACCEPTED:
            self.wait_for(part)
        else:
            self.accepted.add(part)
        return True

    def wait_for(self, part: Part) -> None:
        """Note that the server has accepted a part, of which there is no file yet, or none that is young enough."""
        if part not in self.accepted and self._has_limit:
            self.unverified.add(part)
        self.accepted.add(part)

    def is_under_way(self, part: Part) -> bool:
        """Return whether the server has accepted a part and, as far as is known, goes on with it."""
        return part in self.accepted and part not in self.doubted

    def is_lost(self, part: Part, response: Response) -> bool:
        """Return whether a response says that the server had lost the job, and has begun another one."""
        return part in self.doubted and response.status == ACCEPTED

    @property
    def confusable_file_at(self) -> float | None:
        """When the server is known to have had a file that could be taken for that of this job."""
        return self.older_file_at if self._has_limit or self.unverified else None

    def resume(self, resumed: ResumedJob, now: float) -> None:
        """Go on with the job that an earlier call started."""
        self.requested_at = self.built_since = self.oldest = min(resumed.requested_at, now)
        self.waited = True

    @property
    def is_refresh_of_older_job(self) -> bool:
        """Whether a refresh would resume what another call ordered, whose parts can be there already.

        It has the export built anew. That is then its own order, so that this happens once.
        """
        return self.resumed is not None and self.cache_control == "no-cache" and self.resumed.max_age <= 0

    def start_anew(self, older_file_at: float) -> None:
        """Give up the job that an earlier call started, of which the server can have had a file at an instant."""
        self.resumed = None
        self.older_file_at = max(older_file_at, self.older_file_at or 0.0)

    def is_fresh_enough(self, response: Response) -> bool:
        """Return whether the file of a resumed job that has ended is young enough."""
        if self.resumed is None or (self.cache_control is None and self.count == 1):
            return True
        age = response.sent_at - self.resumed.requested_at
        # The max-age of the other parts is rounded up: they can be a second older than the first.
        return 0 <= age <= self.resumed.max_age - (self.count > 1)

    @property
    def _has_limit(self) -> bool:
        """Whether the server may have had a file when it accepted the export: one too old for the header."""
        return self.cache_control is not None or self.count > 1 or self.resumed is not None

    def _can_be_older(self, part: Part) -> bool:
        """Return whether the file that a request without a header gets can be an older one than that of the job."""
        is_waited_for = part in self.unverified or (part.number == 0 and self.is_probe(part))
        return is_waited_for and self.older_file_at is not None

    def _accept_file(self, part: Part, response: Response) -> bool:
        if part in self.doubted:
            self._accept_verified(part, response)
            return True
        if self.is_probe(part) and not self._accept_finished(part, response):
            return False
        if self._can_be_older(part):
            self.doubted.add(part)
            return False
        if part not in self.accepted:
            self._note_age(part, response)
        return True

    def _accept_finished(self, part: Part, response: Response) -> bool:
        if part.number > 0:
            self.probed.add(part)
            return False
        if self.requested_at is None and not self.is_fresh_enough(response):
            self.start_anew(response.sent_at)
            return False
        return True

    def _verified_since(self, part: Part) -> float | None:
        """Return the instant since which the file of a job must have been built, to be told from an older one."""
        requested_at = self.requested_at if self.resumed is None else self.resumed.requested_at
        max_age = parse_max_age(self.cache_control)
        if part.number > 0 or requested_at is None:
            return self.built_since
        if self.resumed is not None or self.count > 1 or max_age is None or self.older_file_at is None:
            return requested_at
        # The job may be another client's, begun up to max_age before. A second later, as max-age is rounded up.
        return min(requested_at, max(requested_at - max_age, self.older_file_at) + 1.0)

    def _accept_verified(self, part: Part, response: Response) -> None:
        self.doubted.discard(part)
        self.unverified.discard(part)
        self._note_age(part, response)

    def _replace_lost(self, part: Part, response: Response) -> None:
        """Note that the server has begun another job for a part in place of the one that it had lost."""
        self.doubted.discard(part)
        self.unverified.add(part)
        if part.number == 0:
            self.start_anew(response.sent_at)
            self.requested_at = None

    def _note_age(self, part: Part, response: Response) -> None:
        """Note how old the file of a part can be that was requested with ``max-age``."""
        if part.number > 0 and self.built_since is not None:
            self.oldest = min(self.oldest, response.sent_at - max_age_since(self.built_since, response.sent_at))

    def _date(self, response: Response) -> None:
        if self.resumed is not None:
            self.resume(self.resumed, response.sent_at)
            if response.status == ACCEPTED:  # part 0 is yet to be built, so that nothing older need be accepted
                self.built_since = response.sent_at
        else:
            self.requested_at = self.built_since = self.oldest = response.sent_at
            self.waited = response.status == ACCEPTED or self.count > 1
