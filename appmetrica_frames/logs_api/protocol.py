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
from appmetrica_frames.util.durations import spoken

from .responses import is_quota, is_server_fault, refusal
from .steps import WHOLE, Answer, Ask, Delivery, Fault, Part, Pause, ReadAgain, Receive, Received, Reply, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

OK, ACCEPTED, BAD_REQUEST = HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.BAD_REQUEST
LONGEST_BACKOFF = 60.0
MOST_PARTS = 64
QUEUE_ROOM = 3  # jobs that the server queues for one application


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, how often to ask, how often to try; all durations in seconds."""

    prepare_timeout: float = 3600.0
    poll: tuple[float, float] = (2.0, 30.0)
    retries: int = 5


class _TooFewPartsError(Exception):
    """The server wants the export in more parts."""


@dataclass(slots=True)
class _Course:
    """What has happened so far in one conversation."""

    cache_control: str | None
    patience: Patience
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

    def accept(self, answer: Answer) -> None:
        # The header goes with the first request that the server accepts and never again: repeated, it would send the
        # job to the end of the queue. A request that failed or met a quota queued nothing, so there it stays.
        if self.accepted_at is None:
            self.accepted_at = answer.sent_at
            self.waited = answer.status == ACCEPTED
        self.header = None

    def receive(self, received: Received) -> None:
        self.began = received.at
        self.failures = self.refusals = 0

    def poll(self, answer: Answer) -> Pause:
        self.accept(answer)
        self.failures = self.refusals = 0
        shortest, longest = self.patience.poll
        waited = answer.at - self.began
        pause = self._affordable(min(longest, max(shortest, waited / 10)), waited, self._timeout(waited))
        reason = f"preparing, waited {spoken(waited)}"
        return Pause(pause, reason, waited, fraction(answer.text), self.accepted_at, self.part)

    def hold(self, answer: Answer) -> Pause:
        self.refusals += 1
        waited = answer.at - self.began
        quota = refusal(answer)
        told = retry_after(answer.headers, answer.sent_at)
        if told is not None and told > self.patience.prepare_timeout - waited:
            raise quota
        pause = self._backoff(self.refusals + 1) if told is None else told
        return Pause(self._affordable(pause, waited, quota), f"HTTP {answer.status}: {quota}", waited)

    def retry(self, error: AppMetricaError, at: float) -> Pause:
        self.failures += 1
        if self.failures > self.patience.retries:
            raise error
        return Pause(self._backoff(self.failures), f"try {self.failures}: {error}", at - self.began)

    def _backoff(self, tries: int) -> float:
        return float(min(LONGEST_BACKOFF, 2.0 ** (tries - 1)) * (0.5 + self.random() / 2))

    def _affordable(self, pause: float, waited: float, error: AppMetricaError) -> float:
        left = self.patience.prepare_timeout - waited
        if left <= 0:
            raise error
        return min(pause, left)

    def _timeout(self, waited: float) -> PreparationTimeoutError:
        return PreparationTimeoutError(
            f"The server did not prepare the file within {spoken(waited)}. It goes on preparing: make the same call "
            "again later, and it resumes this job (with refresh=True it would begin a new one). "
            "Client(prepare_timeout=...) waits longer."
        )


Conversation: TypeAlias = "Generator[Step, Reply, Delivery]"


def conversation(
    cache_control: str | None,
    patience: Patience,
    *,
    began: float,
    random: Callable[[], float],
    resumed_parts: int | None = None,
) -> Conversation:
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
    course = _Course(cache_control, patience, began, random)
    count = resumed_parts or 1
    while True:
        course.begin(accepted=count == resumed_parts)
        try:
            while not (yield from _all_parts(course, count)):
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
    assert course.accepted_at is not None  # noqa: S101 - a file was received
    return Delivery(course.accepted_at, course.waited, count)


def _all_parts(course: _Course, count: int) -> Generator[Step, Reply, bool]:
    """Receive part after part; return False if the reader needs them all again."""
    for number in range(count):
        reply = yield from _one_part(course, Part(number, count))
        if isinstance(reply, ReadAgain):
            return False
    return True


def _one_part(course: _Course, part: Part) -> Generator[Step, Reply, Reply]:
    course.part = part
    while True:
        reply = yield Ask(course.header, part)
        if isinstance(reply, Answer) and reply.status == OK:
            course.accept(reply)
            reply = yield Receive(part)
        if isinstance(reply, Received):
            course.receive(reply)
            return reply
        if isinstance(reply, ReadAgain):
            return reply
        pause = _next_pause(course, reply)
        if isinstance(reply, Answer) and reply.status == ACCEPTED:
            yield from _queue_ahead(course, part)
        yield pause


def _queue_ahead(course: _Course, part: Part) -> Generator[Step, Reply, None]:
    """Have the server queue the next parts behind the one that is waited for, as many as it has room for."""
    course.queued.add(part)
    for number in range(part.number + 1, min(part.number + QUEUE_ROOM, part.count)):
        ahead = Part(number, part.count)
        if ahead in course.queued:
            continue
        reply = yield Ask(None, ahead)
        if not isinstance(reply, Answer) or is_quota(reply.status):
            return
        _refuse_too_few(reply)
        course.queued.add(ahead)  # whatever else was answered is met again when it is this part's turn


def _next_pause(course: _Course, reply: Reply) -> Pause:
    if isinstance(reply, Fault):
        return course.retry(reply.error, reply.at)
    if not isinstance(reply, Answer):
        raise TypeError(f"{reply!r} answers no step of the conversation")
    _refuse_too_few(reply)
    if reply.status == ACCEPTED:
        return course.poll(reply)
    if is_quota(reply.status):
        return course.hold(reply)
    if is_server_fault(reply.status):
        return course.retry(refusal(reply), reply.at)
    raise refusal(reply)


def _refuse_too_few(answer: Answer) -> None:
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
