"""The prepare-and-download protocol of one export, sans-IO: a generator that yields steps and takes replies.

    SendRequest ──► 202 ──► QueuePart … ──► Wait ──► SendRequest ──► … ──► 200 ──► ReadBody ──► the next part, or done
     ├──► network fault, 5xx, 420, 429 ──► Wait ──► SendRequest             ├──► network fault ──► Wait ──► SendRequest
     └──► 400 "more parts" ──► the whole export again,                      └──► RestartDownload ──► all parts again
          in twice as many parts

There is no clock, no sleep and no socket here: every reply carries the time at which it came.

Which header a request carries decides whether a job is started, joined or started again:

- A header goes with the first request that the server accepts, and never again: repeated, it would send the job to the
  end of the queue.
- Of an export in parts, the first is built anew (a file that is there is of a build that nobody knows). The others are
  accepted if they were built since, so that it does not matter whether the server builds all parts at once or each as
  a job of its own. They are not requested before the first is there.
- A job that an earlier call started is requested without a header. 202 means that it is still being built. 200 means
  that it has ended meanwhile: its age decides whether the file is accepted, or the header is sent after all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.errors import AppMetricaError, PreparationTimeoutError, QuotaExceededError, RequestRejectedError
from appmetrica_frames.request.part import MAX_PARTS, WHOLE, Part
from appmetrica_frames.util.durations import format_duration

from .responses import error_from_response, is_quota, is_server_error
from .retry import RetryBudget, RetryPolicy
from .steps import (
    MAX_QUEUED_JOBS,
    BodyRead,
    FetchResult,
    NoPlace,
    QueuePart,
    ReadBody,
    Reply,
    Response,
    RestartDownload,
    ResumedJob,
    SendRequest,
    Step,
    TransportFailed,
    Wait,
    max_age_since,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

OK, ACCEPTED, BAD_REQUEST = HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST

JOBS_WAITED_FOR = MAX_QUEUED_JOBS + 1  # each for as long as prepare_timeout, before there is a place for another one

ExportProtocol: TypeAlias = "Generator[Step, Reply, FetchResult]"


class _TooFewPartsError(Exception):
    """The server wants the export in more parts."""


@dataclass(slots=True)
class Stopwatch:
    """Adds up spans of time."""

    total: float = 0.0
    since: float | None = None

    def start(self, at: float) -> None:
        """Start, unless it is running."""
        if self.since is None:
            self.since = at

    def stop(self, at: float) -> None:
        """Stop, if it is running."""
        self.total, self.since = self.elapsed(at), None

    def elapsed(self, at: float) -> float:
        """Return the seconds that it has run."""
        return self.total + (0.0 if self.since is None else at - self.since)


@dataclass(slots=True)
class PatienceClock:
    """How long the server has worked on a job, apart from how long it could not.

    Attributes
    ----------
    blocked
        How long the server's limits, or the lack of a place in its queue, kept the job from it.
    behind
        How long the server had the job and worked on those that this process had queued before.
    """

    began: float
    blocked: Stopwatch = field(default_factory=Stopwatch)
    behind: Stopwatch = field(default_factory=Stopwatch)

    def worked(self, at: float) -> float:
        """Return the seconds that the server has had for this job alone: what ``prepare_timeout`` limits."""
        return self.waited(at) - self.behind.elapsed(at)

    def waited(self, at: float) -> float:
        """Return the seconds since the server has had the job."""
        return at - self.began - self.blocked.elapsed(at)


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


@dataclass(slots=True)
class ProtocolState:
    """What has happened so far in the fetch of one export."""

    job: ExportJob
    budget: RetryBudget
    patience: PatienceClock
    part: Part = WHOLE

    def finish_part(self, read: BodyRead) -> None:
        """Start the wait for the next part."""
        self.patience = PatienceClock(read.at)
        self.budget.reset()

    def wait_for_file(self, response: Response) -> Wait:
        """Return the pause after a 202."""
        self.budget.reset()
        (self.patience.behind.start if response.is_behind else self.patience.behind.stop)(response.at)
        shortest, longest = self.budget.policy.poll
        waited, worked = self.patience.waited(response.at), self.patience.worked(response.at)
        pause = self.budget.limit(min(longest, max(shortest, waited / 10)), worked, _preparation_timeout(worked))
        reason = f"preparing, waited {format_duration(waited)}"
        return Wait(pause, reason, waited, parse_progress(response.text), self.job.requested_at, self.part)

    def wait_for_place(self, at: float) -> Wait:
        """Return the pause while all places in the server's queue are taken by other jobs of ours."""
        self.patience.blocked.start(at)
        blocked = self.patience.blocked.elapsed(at)
        if blocked > JOBS_WAITED_FOR * self.budget.policy.prepare_timeout:
            raise QuotaExceededError(
                "Other exports of this application, perhaps of another process, have taken all places in the server's "
                f"queue for {format_duration(blocked)}. Make the same call again later."
            )
        return Wait(self.budget.policy.poll[0], "all places in the server's queue are taken", blocked)

    def wait_for_quota(self, response: Response) -> Wait:
        """Return the pause after a 429 or 420."""
        error = error_from_response(response)
        if self.part in self.job.accepted:  # the server goes on with the job, whatever it answers
            waited = self.patience.waited(response.at)
            pause = self.budget.after_quota(response, self.patience.worked(response.at))
            return Wait(pause, f"HTTP {response.status}: {error}", waited)
        self.patience.blocked.start(response.at)
        blocked = self.patience.blocked.elapsed(response.at)
        pause = self.budget.after_quota(response, blocked)
        reason = f"waiting for a place on the server, for {format_duration(blocked)}: HTTP {response.status}: {error}"
        return Wait(pause, reason, blocked)

    def wait_after_failure(self, error: AppMetricaError, at: float) -> Wait:
        """Return the pause after a 5xx or a network fault."""
        pause = self.budget.after_failure(error)
        return Wait(pause, f"try {self.budget.failures}: {error}", self.patience.waited(at))


def export_protocol(
    cache_control: str | None,
    retry_policy: RetryPolicy,
    *,
    began: float,
    random: Callable[[], float],
    resumed: ResumedJob | None = None,
) -> ExportProtocol:
    """Lead one export from the first request to the received file, in as many parts as the server wants.

    Parameters
    ----------
    cache_control
        The header of the first request.
    began
        The monotonic instant at which the wait begins.
    random
        Returns numbers from 0 to 1, to spread retries.
    resumed
        The job that an earlier call started, if one did.

    Raises
    ------
    AppMetricaError
        What ended the fetch.
    """
    job = ExportJob(resumed.parts if resumed else 1, cache_control, resumed)
    state = ProtocolState(job, RetryBudget(retry_policy, random), PatienceClock(began))
    while True:
        try:
            yield from _probe_resumed(state)
            while not (yield from _fetch_parts(state)):
                pass
        except _TooFewPartsError as error:
            state.job = ExportJob(_double(state.job.count, error), cache_control)
        else:
            break
    assert state.job.requested_at is not None  # noqa: S101 - a file was received
    return FetchResult(state.job.oldest, state.job.waited, state.job.count)


def _double(count: int, reason: _TooFewPartsError) -> int:
    if 2 * count > MAX_PARTS:
        raise RequestRejectedError(
            f"The server finds the export too big even in {MAX_PARTS} parts: request fewer days or fields.",
            status=BAD_REQUEST,
        ) from reason
    return 2 * count


def _probe_resumed(state: ProtocolState) -> Generator[Step, Reply, None]:
    """Ask whether the part that an earlier call waited for is still being built, before the first part is read again.

    If that part is the first, fetching it asks the same.
    """
    job, resumed = state.job, state.job.resumed
    if resumed is None or resumed.part == 0 or job.requested_at is not None:
        return
    if job.is_refresh_of_older_job:
        job.start_anew()
        return
    state.part = part = Part(min(resumed.part, job.count - 1), job.count)
    reply = yield from _request_until_accepted(state, part)
    if reply.status == ACCEPTED:
        job.accepted.add(part)
        job.resume(resumed, reply.sent_at)
    elif job.is_fresh_enough(reply):
        job.probed.add(part)
        job.resume(resumed, reply.sent_at)
    else:
        job.start_anew()


def _fetch_parts(state: ProtocolState) -> Generator[Step, Reply, bool]:
    """Fetch part after part; return False if the reader needs them all again."""
    for part in state.job.parts:
        reply = yield from _fetch_part(state, part)
        if isinstance(reply, RestartDownload):
            return False
    return True


def _fetch_part(state: ProtocolState, part: Part) -> Generator[Step, Reply, Reply]:
    state.part = part
    while True:
        response = yield from _request_until_accepted(state, part)
        if not state.job.accept(part, response):
            continue
        if response.status == ACCEPTED:
            pause = state.wait_for_file(response)
            yield from _queue_ahead(state)
            yield pause
            continue
        reply = yield ReadBody(part)
        if isinstance(reply, BodyRead):
            state.finish_part(reply)
        if isinstance(reply, (BodyRead, RestartDownload)):
            return reply
        yield _pause_after(state, reply)


def _request_until_accepted(state: ProtocolState, part: Part) -> Generator[Step, Reply, Response]:
    """Send the next request for a part until the server answers it with 202 or 200."""
    while True:
        reply = yield state.job.request(part)
        if isinstance(reply, Response) and reply.status in {OK, ACCEPTED}:
            state.patience.blocked.stop(reply.at)
            return reply
        yield _pause_after(state, reply)


def _queue_ahead(state: ProtocolState) -> Generator[Step, Reply, None]:
    """Have the server queue the parts behind the one that is waited for, as many as there are places for."""
    job = state.job
    if state.part.number == 0:
        return
    for part in job.parts[state.part.number + 1 :]:
        if part in job.accepted or part in job.tried_ahead:
            continue
        reply = yield QueuePart(part, job.request(part).built_since)
        if isinstance(reply, Response) and reply.status == OK and not job.accept(part, reply):
            reply = yield QueuePart(part, job.request(part).built_since)
        if not isinstance(reply, Response) or is_quota(reply.status):
            return
        _raise_if_more_parts(reply)
        if reply.status in {OK, ACCEPTED}:
            job.accept(part, reply)
        job.tried_ahead.add(part)  # any other answer comes again when it is this part's turn


def _pause_after(state: ProtocolState, reply: Reply) -> Wait:
    if isinstance(reply, TransportFailed):
        state.patience.blocked.stop(reply.at)
        return state.wait_after_failure(reply.error, reply.at)
    if isinstance(reply, NoPlace):
        return state.wait_for_place(reply.at)
    if not isinstance(reply, Response):
        raise TypeError(f"{reply!r} is not a reply to a request")
    _raise_if_more_parts(reply)
    if is_quota(reply.status):
        return state.wait_for_quota(reply)
    state.patience.blocked.stop(reply.at)
    error = error_from_response(reply)
    if is_server_error(reply.status):
        return state.wait_after_failure(error, reply.at)
    raise error


def _raise_if_more_parts(response: Response) -> None:
    if response.status == BAD_REQUEST and "more parts" in response.text.lower():
        raise _TooFewPartsError


def _preparation_timeout(waited: float) -> PreparationTimeoutError:
    return PreparationTimeoutError(
        f"The server did not prepare the file within {format_duration(waited)}. It goes on preparing: make the same "
        "call again later, and it resumes this job. Client(prepare_timeout=...) waits longer."
    )


def parse_progress(text: str) -> float | None:
    """Return the progress, from 0 to 1, in the text of a 202."""
    match = re.search(r"Progress is (\d+(?:\.\d+)?)\s*%", text)
    return min(1.0, float(match[1]) / 100) if match else None
