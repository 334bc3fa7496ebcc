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
- A job can be lost. If the server still has an older file of the same request, the request without a header gets that.
  Where such a file is known of, one more request with ``max-age`` tells the two apart before the body is read. There is
  no job then that it could move: 200 is the file of the job; 202 means that it was lost, and the next one has begun.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.errors import (
    AppMetricaError,
    PreparationTimeoutError,
    QuotaExceededError,
    RequestRejectedError,
    ServerError,
)
from appmetrica_frames.request.part import MAX_PARTS, WHOLE, Part
from appmetrica_frames.util.durations import format_duration

from .job import ExportJob
from .patience import PatienceClock
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
    Step,
    TransportFailed,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

OK, ACCEPTED, BAD_REQUEST = HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST

MAX_LOST_JOBS = 3  # in a row, of one part: each costs the server another preparation
JOBS_WAITED_FOR = MAX_QUEUED_JOBS + 1  # each for as long as prepare_timeout, before there is a place for another one

SHARE = 10  # a pause is so much of the time waited so far
FOLLOWED_SHARE = 8  # more requests than that would not be worth what they save; fewer would let the server wait
FOLLOWED, BEHIND = 20, 20  # times the longest pause

ExportProtocol: TypeAlias = "Generator[Step, Reply, FetchResult]"


class _TooFewPartsError(Exception):
    """The server wants the export in more parts."""


@dataclass(slots=True)
class ProtocolState:
    """What has happened so far in the fetch of one export."""

    job: ExportJob
    budget: RetryBudget
    patience: PatienceClock
    part: Part = WHOLE
    lost_jobs: int = 0

    def finish_part(self, read: BodyRead) -> None:
        """Start the wait for the next part."""
        self.lost_jobs = 0
        self._restart_patience(read.at)

    def start_again(self, response: Response) -> None:
        """Start the wait for the job that the server has begun in place of one that it had lost."""
        self.lost_jobs += 1
        if self.lost_jobs > MAX_LOST_JOBS:
            raise ServerError(
                f"The server has lost the job {self.lost_jobs} times in a row: it accepted the export, and later had "
                "only a file that is too old. Make the same call again later."
            )
        self._restart_patience(response.at)

    def _restart_patience(self, at: float) -> None:
        self.patience = PatienceClock(at)
        self.budget.reset()

    def wait_for_file(self, response: Response) -> Wait:
        """Return the pause after a 202."""
        self.budget.reset()
        (self.patience.behind.start if response.is_behind else self.patience.behind.stop)(response.at)
        waited, worked = self.patience.waited(response.at), self.patience.worked(response.at)
        policy = self.budget.policy
        pause = self.budget.limit(_poll_pause(policy, response, waited), worked, _preparation_timeout(worked))
        return Wait(
            pause,
            f"preparing, waited {format_duration(waited)}",
            waited,
            parse_progress(response.text),
            self.job.requested_at,
            self.part,
            self.job.confusable_file_at,
            recheck=policy.poll[0] if response.is_behind else None,
        )

    def wait_for_place(self, at: float) -> Wait:
        """Return the pause while all places in the server's queue are taken by other jobs of ours."""
        self.patience.blocked.start(at)
        blocked = self.patience.blocked.elapsed(at)
        if blocked > JOBS_WAITED_FOR * self.budget.policy.prepare_timeout:
            raise QuotaExceededError(
                "Other exports of this application, perhaps of another process, have taken all places in the server's "
                f"queue for {format_duration(blocked)}. Make the same call again later."
            )
        shortest, longest = self.budget.policy.poll
        reason = "all places in the server's queue are taken"
        return Wait(longest, reason, blocked, part=self.part, recheck=shortest / 2, has_place=False)

    def wait_for_quota(self, response: Response) -> Wait:
        """Return the pause after a 429 or 420."""
        error = error_from_response(response)
        if self.job.is_under_way(self.part):  # the server goes on with the job, whatever it answers
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
        reason, notice = f"try {self.budget.failures}: {error}", self.budget.describe_failure(error)
        return Wait(pause, reason, self.patience.waited(at), notice=notice)


def export_protocol(
    cache_control: str | None,
    retry_policy: RetryPolicy,
    *,
    began: float,
    random: Callable[[], float],
    resumed: ResumedJob | None = None,
    older_file_at: float | None = None,
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
    older_file_at
        When the server is known to have had a file of the same request, which it may still have, if it is.

    Raises
    ------
    AppMetricaError
        What ended the fetch.
    """
    job = ExportJob(resumed.parts if resumed else 1, cache_control, resumed, older_file_at)
    state = ProtocolState(job, RetryBudget(retry_policy, random), PatienceClock(began))
    while True:
        try:
            yield from _probe_resumed(state)
            while not (yield from _fetch_parts(state)):
                pass
        except _TooFewPartsError as error:
            count = _double(state.job.count, error)
            state.job = ExportJob(count, cache_control, older_file_at=state.job.older_file_at)
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
        job.start_anew(resumed.requested_at)
        return
    state.part = part = Part(min(resumed.part, job.count - 1), job.count)
    reply = yield from _request_until_accepted(state, part)
    if reply.status == ACCEPTED:
        job.wait_for(part)
        job.resume(resumed, reply.sent_at)
    elif job.is_fresh_enough(reply):
        job.probed.add(part)
        job.resume(resumed, reply.sent_at)
    else:
        job.start_anew(reply.sent_at)


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
        if state.job.is_lost(part, response):
            state.start_again(response)
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


def _poll_pause(policy: RetryPolicy, response: Response, waited: float) -> float:
    """Return the pause before a job is asked for again.

    Each request counts against the quota of a login. While the server has other jobs of ours to go on with, it does not
    matter that a file is noticed late; and a job behind others cannot be done before them.
    """
    shortest, longest = policy.poll
    if response.is_behind:
        return BEHIND * longest
    if response.is_followed:
        return min(FOLLOWED * longest, max(shortest, waited / FOLLOWED_SHARE))
    return min(longest, max(shortest, waited / SHARE))


def _preparation_timeout(waited: float) -> PreparationTimeoutError:
    return PreparationTimeoutError(
        f"The server did not prepare the file within {format_duration(waited)}. It goes on preparing: make the same "
        "call again later, and it resumes this job. Client(prepare_timeout=...) waits longer."
    )


def parse_progress(text: str) -> float | None:
    """Return the progress, from 0 to 1, in the text of a 202."""
    match = re.search(r"Progress is (\d+(?:\.\d+)?)\s*%", text)
    return min(1.0, float(match[1]) / 100) if match else None
