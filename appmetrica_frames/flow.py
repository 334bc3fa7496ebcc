"""The prepare/download conversation as a sans-IO generator: it yields what to do and is told what came of it.

    Ask ──► Answer 202 ──► Pause ──► Ask ──► … ──► Answer 200 ──► Receive ──► Received: done
     └────► Fault, 5xx, 420, 429 ──► Pause ──► Ask             └──► Fault ──► Pause ──► Ask (the file is kept)

There is no clock, no sleep and no socket here. Every reply says when it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .durations import spoken
from .errors import AppMetricaError, DownloadError, PreparationTimeoutError
from .refusals import is_quota, is_server_fault, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

LONGEST_BACKOFF = 60.0


@dataclass(frozen=True, slots=True)
class Ask:
    """Send the request, with this ``Cache-Control`` if any; reply with an `Answer` or a `Fault`."""

    cache_control: str | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds pass; `waited` and `fraction` are for the eye, `reason` is for the log. No reply."""

    seconds: float
    reason: str
    waited: float
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Receive:
    """Read the body of the 200 just answered, to its end; reply with `Received`, `ReadAgain` or a `Fault`."""


Step: TypeAlias = Ask | Pause | Receive


@dataclass(frozen=True, slots=True)
class Answer:
    """A status line with its headers (names in lower case), and the text of a body that is not the file.

    Attributes
    ----------
    sent_at
        UNIX seconds at which the request was sent.
    at
        Seconds on a monotonic clock when the answer was there.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    sent_at: float
    at: float


@dataclass(frozen=True, slots=True)
class Fault:
    """The request or the body did not come through."""

    error: DownloadError
    at: float


@dataclass(frozen=True, slots=True)
class Received:
    """The body was received, whole and sound."""


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """The body came whole, but its reader needs it once more from the beginning; the server still has the file."""


Reply: TypeAlias = Answer | Fault | Received | ReadAgain | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the file came.

    Attributes
    ----------
    requested_at
        UNIX seconds at which the first request that the server accepted was sent.
    waited
        Whether the server said 202 before it gave the file.
    """

    requested_at: float
    waited: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, how often to ask, how often to try; all durations in seconds."""

    prepare_timeout: float = 3600.0
    poll: tuple[float, float] = (2.0, 30.0)
    retries: int = 5


@dataclass(slots=True)
class _Course:
    """What has happened so far in one conversation."""

    header: str | None
    patience: Patience
    began: float
    random: Callable[[], float]
    failures: int = 0
    refusals: int = 0
    waited: bool = False
    accepted_at: float | None = field(default=None)

    def accept(self, answer: Answer) -> None:
        # The header goes with the first request that the server accepts and never again: repeated, it would send the
        # job to the end of the queue. A request that failed or met a quota queued nothing, so there it stays.
        if self.accepted_at is None:
            self.accepted_at = answer.sent_at
        self.header = None

    def poll(self, answer: Answer) -> Pause:
        self.accept(answer)
        self.waited = True
        self.failures = self.refusals = 0
        shortest, longest = self.patience.poll
        waited = answer.at - self.began
        pause = self._affordable(min(longest, max(shortest, waited / 10)), waited, self._timeout(waited))
        return Pause(pause, f"preparing, waited {spoken(waited)}", waited, fraction(answer.text))

    def hold(self, answer: Answer) -> Pause:
        self.refusals += 1
        waited = answer.at - self.began
        asked = retry_after(answer.headers)
        pause = self._backoff(self.refusals + 1) if asked is None else asked
        quota = refusal(answer)
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
            "again later, without refresh or max_age, and it picks the file up. "
            "Client(prepare_timeout=...) waits longer."
        )


def conversation(
    cache_control: str | None, patience: Patience, *, began: float, random: Callable[[], float]
) -> Generator[Step, Reply, Delivery]:
    """Lead one export from the first request to the received file.

    Parameters
    ----------
    cache_control
        The header of the first request.
    began
        The monotonic instant at which the waiting begins.
    random
        Gives numbers from 0 to 1, to spread tries after faults.

    Raises
    ------
    AppMetricaError
        The typed error of what ended the conversation.
    """
    course = _Course(cache_control, patience, began, random)
    while True:
        reply = yield Ask(course.header)
        if isinstance(reply, Answer) and reply.status == 200:  # noqa: PLR2004 - HTTP's own number
            course.accept(reply)
            reply = yield Receive()
        if isinstance(reply, Received) and course.accepted_at is not None:
            return Delivery(course.accepted_at, course.waited)
        if not isinstance(reply, ReadAgain):
            yield _next_pause(course, reply)


def _next_pause(course: _Course, reply: Reply) -> Pause:
    if isinstance(reply, Fault):
        return course.retry(reply.error, reply.at)
    if not isinstance(reply, Answer):
        raise TypeError(f"{reply!r} answers no step of the conversation")
    if reply.status == 202:  # noqa: PLR2004 - HTTP's own number
        return course.poll(reply)
    if is_quota(reply.status):
        return course.hold(reply)
    if is_server_fault(reply.status):
        return course.retry(refusal(reply), reply.at)
    raise refusal(reply)


def fraction(text: str) -> float | None:
    """Return the progress, from 0 to 1, that a 202 text speaks of."""
    found = re.search(r"Progress is (\d+(?:\.\d+)?)\s*%", text)
    return min(1.0, float(found[1]) / 100) if found else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``; a date or nonsense counts as absent."""
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None
