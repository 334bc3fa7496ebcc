"""An export with the server: in how many parts, what of it the server has accepted, and which header goes next."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from appmetrica_frames.request.part import Part

from .steps import SendRequest, max_age_since

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
    accepted
        The parts that the server has accepted: they are requested without a header.
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
    """

    count: int
    cache_control: str | None
    resumed: ResumedJob | None = None
    accepted: set[Part] = field(default_factory=set)
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
        if part in self.accepted or self.is_probe(part):
            return SendRequest(None, part)
        if part.number == 0:
            return SendRequest("no-cache" if self.count > 1 else self.cache_control, part)
        return SendRequest(None, part, self.built_since)

    def accept(self, part: Part, response: Response) -> bool:
        """Take a 202 or 200 to the next request for a part; return False if the request has to be sent once more."""
        if self.is_probe(part) and response.status == OK and not self._accept_finished(part, response):
            return False
        if part.number == 0 and self.requested_at is None:
            self._date(response)
        if part.number > 0 and part not in self.accepted and response.status == OK and self.built_since is not None:
            self.oldest = min(self.oldest, response.sent_at - max_age_since(self.built_since, response.sent_at))
        self.accepted.add(part)
        return True

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

    def start_anew(self) -> None:
        """Give up the job that an earlier call started."""
        self.resumed = None

    def is_fresh_enough(self, response: Response) -> bool:
        """Return whether the file of a resumed job that has ended is young enough."""
        if self.resumed is None or (self.cache_control is None and self.count == 1):
            return True
        age = response.sent_at - self.resumed.requested_at
        # The max-age of the other parts is rounded up: they can be a second older than the first.
        return 0 <= age <= self.resumed.max_age - (self.count > 1)

    def _accept_finished(self, part: Part, response: Response) -> bool:
        if part.number > 0:
            self.probed.add(part)
            return False
        if self.requested_at is None and not self.is_fresh_enough(response):
            self.start_anew()
            return False
        return True

    def _date(self, response: Response) -> None:
        if self.resumed is not None:
            self.resume(self.resumed, response.sent_at)
            if response.status == ACCEPTED:  # part 0 is yet to be built, so that nothing older need be accepted
                self.built_since = response.sent_at
        else:
            self.requested_at = self.built_since = self.oldest = response.sent_at
            self.waited = response.status == ACCEPTED or self.count > 1
