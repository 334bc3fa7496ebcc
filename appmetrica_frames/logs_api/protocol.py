"""The prepare-and-download protocol of one export, sans-IO: a generator that yields steps and takes replies.

    SendRequest ──► 202 ──► QueuePart … ──► Wait ──► SendRequest ──► … ──► 200 ──► ReadBody ──► the next part, or done
     ├──► network fault, 5xx, 420, 429 ──► Wait ──► SendRequest             ├──► network fault ──► Wait ──► SendRequest
     └──► 400 "more parts" ──► the whole export again,                      └──► RestartDownload ──► all parts again
          in twice as many parts

There is no clock, no sleep and no socket here: every reply carries the time at which it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.errors import AppMetricaError, PreparationTimeoutError, RequestRejectedError
from appmetrica_frames.request.part import WHOLE, Part
from appmetrica_frames.util.durations import format_duration

from .responses import error_from_response, is_quota, is_server_error
from .retry import RetryBudget, RetryPolicy
from .steps import (
    BodyRead,
    FetchResult,
    QueuePart,
    ReadBody,
    Reply,
    Response,
    RestartDownload,
    SendRequest,
    Step,
    TransportFailed,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

OK, ACCEPTED, BAD_REQUEST = HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST
MAX_PARTS = 64

ExportProtocol: TypeAlias = "Generator[Step, Reply, FetchResult]"


class _TooFewPartsError(Exception):
    """The server wants the export in more parts."""


@dataclass(slots=True)
class ProtocolState:
    """What has happened so far in the fetch of one export."""

    cache_control: str | None
    budget: RetryBudget
    began: float
    part: Part = WHOLE
    header: str | None = None
    queued: set[Part] = field(default_factory=set)
    waited: bool = False
    accepted_at: float | None = None

    def begin(self, *, accepted: bool) -> None:
        """Begin the export in another number of parts: other jobs, not accepted yet unless by an earlier call."""
        self.header = None if accepted else self.cache_control
        self.accepted_at = None
        self.waited = False
        self.queued.clear()

    def accept(self, response: Response) -> None:
        """Note that the server accepted the request."""
        # The header goes with the first request that the server accepts and never again: repeated, it would send the
        # job to the end of the queue. A request that failed or met a quota queued nothing, so it keeps the header.
        if self.accepted_at is None:
            self.accepted_at = response.sent_at
            self.waited = response.status == ACCEPTED
        self.header = None

    def finish_part(self, read: BodyRead) -> None:
        """Start the wait for the next part."""
        self.began = read.at
        self.budget.reset()

    def wait_for_file(self, response: Response) -> Wait:
        """Return the pause after a 202."""
        self.accept(response)
        self.budget.reset()
        shortest, longest = self.budget.policy.poll
        waited = response.at - self.began
        pause = self.budget.limit(min(longest, max(shortest, waited / 10)), waited, _preparation_timeout(waited))
        reason = f"preparing, waited {format_duration(waited)}"
        return Wait(pause, reason, waited, parse_progress(response.text), self.accepted_at, self.part)

    def wait_for_quota(self, response: Response) -> Wait:
        """Return the pause after a 429 or 420."""
        waited = response.at - self.began
        pause = self.budget.after_quota(response, waited)
        return Wait(pause, f"HTTP {response.status}: {error_from_response(response)}", waited)

    def wait_after_failure(self, error: AppMetricaError, at: float) -> Wait:
        """Return the pause after a 5xx or a network fault."""
        pause = self.budget.after_failure(error)
        return Wait(pause, f"try {self.budget.failures}: {error}", at - self.began)


def export_protocol(
    cache_control: str | None,
    retry_policy: RetryPolicy,
    *,
    began: float,
    random: Callable[[], float],
    resumed_parts: int | None = None,
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
    resumed_parts
        The number of parts of the job that an earlier call started, if one did. That job is requested without the
        header, which would start it again.

    Raises
    ------
    AppMetricaError
        What ended the fetch.
    """
    state = ProtocolState(cache_control, RetryBudget(retry_policy, random), began)
    count = resumed_parts or 1
    while True:
        state.begin(accepted=count == resumed_parts)
        try:
            while not (yield from _fetch_parts(state, count)):
                pass
        except _TooFewPartsError as error:
            count = _double(count, error)
        else:
            break
    assert state.accepted_at is not None  # noqa: S101 - a file was received
    return FetchResult(state.accepted_at, state.waited, count)


def _double(count: int, reason: _TooFewPartsError) -> int:
    if 2 * count > MAX_PARTS:
        raise RequestRejectedError(
            f"The server finds the export too big even in {MAX_PARTS} parts: request fewer days or fields.",
            status=BAD_REQUEST,
        ) from reason
    return 2 * count


def _fetch_parts(state: ProtocolState, count: int) -> Generator[Step, Reply, bool]:
    """Fetch part after part; return False if the reader needs them all again."""
    for number in range(count):
        reply = yield from _fetch_part(state, Part(number, count))
        if isinstance(reply, RestartDownload):
            return False
    return True


def _fetch_part(state: ProtocolState, part: Part) -> Generator[Step, Reply, Reply]:
    state.part = part
    while True:
        reply = yield SendRequest(state.header, part)
        if isinstance(reply, Response) and reply.status == OK:
            state.accept(reply)
            reply = yield ReadBody(part)
        if isinstance(reply, BodyRead):
            state.finish_part(reply)
            return reply
        if isinstance(reply, RestartDownload):
            return reply
        pause = _next_pause(state, reply)
        if isinstance(reply, Response) and reply.status == ACCEPTED:
            yield from _queue_ahead(state, part)
        yield pause


def _queue_ahead(state: ProtocolState, part: Part) -> Generator[Step, Reply, None]:
    """Have the server queue the parts behind the one that is waited for, as many as there are places for."""
    state.queued.add(part)
    for number in range(part.number + 1, part.count):
        ahead = Part(number, part.count)
        if ahead in state.queued:
            continue
        reply = yield QueuePart(ahead)
        if not isinstance(reply, Response) or is_quota(reply.status):
            return
        _raise_if_more_parts(reply)
        state.queued.add(ahead)  # any other answer comes again when it is this part's turn


def _next_pause(state: ProtocolState, reply: Reply) -> Wait:
    if isinstance(reply, TransportFailed):
        return state.wait_after_failure(reply.error, reply.at)
    if not isinstance(reply, Response):
        raise TypeError(f"{reply!r} is not a reply to a request")
    _raise_if_more_parts(reply)
    if reply.status == ACCEPTED:
        return state.wait_for_file(reply)
    if is_quota(reply.status):
        return state.wait_for_quota(reply)
    if is_server_error(reply.status):
        return state.wait_after_failure(error_from_response(reply), reply.at)
    raise error_from_response(reply)


def _raise_if_more_parts(response: Response) -> None:
    if response.status == BAD_REQUEST and "more parts" in response.text.lower():
        raise _TooFewPartsError


def _preparation_timeout(waited: float) -> PreparationTimeoutError:
    return PreparationTimeoutError(
        f"The server did not prepare the file within {format_duration(waited)}. It goes on preparing: make the same "
        "call again later, and it resumes this job (with refresh=True it would begin a new one). "
        "Client(prepare_timeout=...) waits longer."
    )


def parse_progress(text: str) -> float | None:
    """Return the progress, from 0 to 1, in the text of a 202."""
    match = re.search(r"Progress is (\d+(?:\.\d+)?)\s*%", text)
    return min(1.0, float(match[1]) / 100) if match else None
