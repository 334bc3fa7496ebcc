"""The prepare/download conversation as a sans-IO generator: it yields what to do and is told what came of it.

    Ask ──► Answer 202 ──► Pause ──► Ask ──► … ──► Answer 200 ──► Receive ──► Received: the next part, or done
     ├────► Fault, 5xx, 420, 429 ──► Pause ──► Ask             ├──► Fault ──► Pause ──► Ask (the file is kept)
     └────► 400 "more parts" ──► the whole export again,       └──► ReadAgain ──► all parts again (they are kept)
            in twice as many parts

There is no clock, no sleep and no socket here. Every reply says when it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.errors import AppMetricaError, PreparationTimeoutError, RequestRejectedError
from appmetrica_frames.request.part import WHOLE, Part
from appmetrica_frames.util.durations import format_duration

from .responses import error_from_response, is_quota, is_server_fault
from .steps import (
    BodyRead,
    FetchResult,
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
    from collections.abc import Callable, Generator, Mapping

OK, ACCEPTED, BAD_REQUEST = HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST
LONGEST_BACKOFF = 60.0
MOST_PARTS = 64
QUEUE_ROOM = 3  # jobs that the server queues for one application


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait, how often to ask, how often to try; all durations in seconds."""

    prepare_timeout: float = 3600.0
    poll: tuple[float, float] = (2.0, 30.0)
    retries: int = 5


class _TooFewPartsError(Exception):
    """The server wants the export in more parts."""


@dataclass(slots=True)
class ProtocolState:
    """What has happened so far in one conversation."""

    cache_control: str | None
    patience: RetryPolicy
    began: float
    random: Callable[[], float]
    part: Part = WHOLE
    header: str | None = None
    queued: set[Part] = field(default_factory=set)
    failures: int = 0
    refusals: int = 0
    waited: bool = False
    accepted_at: float | None = None

    def begin(self, *, accepted: bool) -> None:
        """Begin the export in another number of parts: other jobs, not accepted yet unless by an earlier call."""
        self.header = None if accepted else self.cache_control
        self.accepted_at = None
        self.waited = False
        self.queued.clear()

    def accept(self, answer: Response) -> None:
        # The header goes with the first request that the server accepts and never again: repeated, it would send the
        # job to the end of the queue. A request that failed or met a quota queued nothing, so there it stays.
        if self.accepted_at is None:
            self.accepted_at = answer.sent_at
            self.waited = answer.status == ACCEPTED
        self.header = None

    def receive(self, received: BodyRead) -> None:
        self.began = received.at
        self.failures = self.refusals = 0

    def poll(self, answer: Response) -> Wait:
        self.accept(answer)
        self.failures = self.refusals = 0
        shortest, longest = self.patience.poll
        waited = answer.at - self.began
        pause = self._affordable(min(longest, max(shortest, waited / 10)), waited, self._timeout(waited))
        reason = f"preparing, waited {format_duration(waited)}"
        return Wait(pause, reason, waited, fraction(answer.text), self.accepted_at, self.part)

    def hold(self, answer: Response) -> Wait:
        self.refusals += 1
        waited = answer.at - self.began
        quota = error_from_response(answer)
        told = retry_after(answer.headers, answer.sent_at)
        if told is not None and told > self.patience.prepare_timeout - waited:
            raise quota
        pause = self._backoff(self.refusals + 1) if told is None else told
        return Wait(self._affordable(pause, waited, quota), f"HTTP {answer.status}: {quota}", waited)

    def retry(self, error: AppMetricaError, at: float) -> Wait:
        self.failures += 1
        if self.failures > self.patience.retries:
            raise error
        return Wait(self._backoff(self.failures), f"try {self.failures}: {error}", at - self.began)

    def _backoff(self, tries: int) -> float:
        return float(min(LONGEST_BACKOFF, 2.0 ** (tries - 1)) * (0.5 + self.random() / 2))

    def _affordable(self, pause: float, waited: float, error: AppMetricaError) -> float:
        left = self.patience.prepare_timeout - waited
        if left <= 0:
            raise error
        return min(pause, left)

    def _timeout(self, waited: float) -> PreparationTimeoutError:
        return PreparationTimeoutError(
            f"The server did not prepare the file within {format_duration(waited)}. It goes on preparing: make the "
            "same call again later, and it resumes this job (with refresh=True it would begin a new one). "
            "Client(prepare_timeout=...) waits longer."
        )


ExportProtocol: TypeAlias = "Generator[Step, Reply, FetchResult]"


def export_protocol(
    cache_control: str | None,
    patience: RetryPolicy,
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
        The monotonic instant at which the waiting begins.
    random
        Gives numbers from 0 to 1, to spread tries after faults.
    resumed_parts
        In how many parts the server has accepted the export from an earlier call, if it has: that job is asked for
        without the header, which would begin it anew.

    Raises
    ------
    AppMetricaError
        The typed error of what ended the conversation.
    """
    state = ProtocolState(cache_control, patience, began, random)
    count = resumed_parts or 1
    while True:
        state.begin(accepted=count == resumed_parts)
        try:
            while not (yield from _all_parts(state, count)):
                pass
        except _TooFewPartsError as wanted:
            count *= 2
            if count > MOST_PARTS:
                raise RequestRejectedError(
                    f"The server finds the export too big even in {MOST_PARTS} parts: ask for fewer days or fields.",
                    status=BAD_REQUEST,
                ) from wanted
        else:
            break
    assert state.accepted_at is not None  # noqa: S101 - a file was received
    return FetchResult(state.accepted_at, state.waited, count)


def _all_parts(state: ProtocolState, count: int) -> Generator[Step, Reply, bool]:
    """Receive part after part; return False if the reader needs them all again."""
    for number in range(count):
        reply = yield from _one_part(state, Part(number, count))
        if isinstance(reply, RestartDownload):
            return False
    return True


def _one_part(state: ProtocolState, part: Part) -> Generator[Step, Reply, Reply]:
    state.part = part
    while True:
        reply = yield SendRequest(state.header, part)
        if isinstance(reply, Response) and reply.status == OK:
            state.accept(reply)
            reply = yield ReadBody(part)
        if isinstance(reply, BodyRead):
            state.receive(reply)
            return reply
        if isinstance(reply, RestartDownload):
            return reply
        pause = _next_pause(state, reply)
        if isinstance(reply, Response) and reply.status == ACCEPTED:
            yield from _queue_ahead(state, part)
        yield pause


def _queue_ahead(state: ProtocolState, part: Part) -> Generator[Step, Reply, None]:
    """Have the server queue the next parts behind the one that is waited for, as many as it has room for."""
    state.queued.add(part)
    for number in range(part.number + 1, min(part.number + QUEUE_ROOM, part.count)):
        ahead = Part(number, part.count)
        if ahead in state.queued:
            continue
        reply = yield SendRequest(None, ahead)
        if not isinstance(reply, Response) or is_quota(reply.status):
            return
        _refuse_too_few(reply)
        state.queued.add(ahead)  # whatever else was answered is met again when it is this part's turn


def _next_pause(state: ProtocolState, reply: Reply) -> Wait:
    if isinstance(reply, TransportFailed):
        return state.retry(reply.error, reply.at)
    if not isinstance(reply, Response):
        raise TypeError(f"{reply!r} answers no step of the conversation")
    _refuse_too_few(reply)
    if reply.status == ACCEPTED:
        return state.poll(reply)
    if is_quota(reply.status):
        return state.hold(reply)
    if is_server_fault(reply.status):
        return state.retry(error_from_response(reply), reply.at)
    raise error_from_response(reply)


def _refuse_too_few(answer: Response) -> None:
    if answer.status == BAD_REQUEST and "more parts" in answer.text.lower():
        raise _TooFewPartsError


def fraction(text: str) -> float | None:
    """Return the progress, from 0 to 1, that a 202 text speaks of."""
    found = re.search(r"Progress is (\d+(?:\.\d+)?)\s*%", text)
    return min(1.0, float(found[1]) / 100) if found else None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, as a number or a date; nonsense counts as absent."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None
