"""The steps that the export protocol yields, and the replies that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.request.part import WHOLE, Part
from appmetrica_frames.util.durations import DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appmetrica_frames.errors import DownloadError


MAX_QUEUED_JOBS = 3  # that the server queues for one application


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send the request for a part; reply with a `Response` or `TransportFailed`.

    Reply with `NoPlace`, and send nothing, if the part must have a place in the server's queue and there is none.

    Attributes
    ----------
    cache_control
        The ``Cache-Control`` of the request.
    built_since
        In place of it: the instant, in UNIX seconds, before which the file must not have been built.
    keeps_place
        Whether the part keeps its place in the server's queue although there is a file: the next request decides
        whether that is the file that was waited for.
    """

    cache_control: str | None
    part: Part = WHOLE
    built_since: float | None = None
    keeps_place: bool = False

    def header_at(self, now: float) -> str | None:
        """Return the ``Cache-Control`` of the request if it is sent now."""
        return self.cache_control if self.built_since is None else f"max-age={max_age_since(self.built_since, now)}"


@dataclass(frozen=True, slots=True)
class QueuePart:
    """Have the server queue a part ahead of its turn, if there is a place for it in the server's queue.

    Reply with a `Response` or `TransportFailed`, or with `NoPlace` if no request was sent. A body is not read.

    Attributes
    ----------
    built_since
        The instant, in UNIX seconds, before which the file must not have been built.
    """

    part: Part
    built_since: float | None = None

    @property
    def request(self) -> SendRequest:
        """The request to be sent."""
        return SendRequest(None, self.part, self.built_since)


@dataclass(frozen=True, slots=True)
class ResumedJob:
    """A job that an earlier call started and did not wait for to the end.

    Attributes
    ----------
    requested_at
        When that call sent the request that the server accepted, in UNIX seconds.
    parts
        In how many parts.
    part
        The number of the part that the call waited for last.
    max_age
        If the job has ended meanwhile: how old, in seconds since `requested_at`, its file may be.
    """

    requested_at: float
    parts: int = 1
    part: int = 0
    max_age: float = DAY


@dataclass(frozen=True, slots=True)
class Wait:
    """Let some time pass. There is no reply.

    Attributes
    ----------
    seconds
        How long to wait.
    reason
        Why, for the log.
    waited
        Seconds waited so far.
    fraction
        How much of the file is prepared according to the server, from 0 to 1.
    accepted_at
        When the request that the server accepted was sent, in UNIX seconds, if it accepted one: that of part 0 for an
        export in parts. With `part`, this is what a later call needs to resume the job.
    part
        The part that is waited for.
    older_file_at
        When the server is known to have had an older file of the same request, if it is, in UNIX seconds: a later call
        that resumes the job must not take that one for the file of the job.
    recheck
        If other jobs of this process come first: how often to look, in seconds, whether they still do. If they do not,
        the wait ends.
    notice
        What users should be told before it, if anything.
    has_place
        Whether there is a job to wait for, and not only a place in the server's queue.
    """

    seconds: float
    reason: str
    waited: float
    fraction: float | None = None
    accepted_at: float | None = None
    part: Part = WHOLE
    older_file_at: float | None = None
    recheck: float | None = None
    notice: str = ""
    has_place: bool = True


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Read the body of the last 200 to its end; reply with `BodyRead`, `RestartDownload` or `TransportFailed`.

    Part 0 starts the export again: drop the parts received before.
    """

    part: Part = WHOLE


Step: TypeAlias = SendRequest | QueuePart | Wait | ReadBody


@dataclass(frozen=True, slots=True)
class Response:
    """A status with its headers (names in lower case), and the text of a body that is not the file.

    Attributes
    ----------
    sent_at
        UNIX seconds at which the request was sent.
    at
        Seconds on a monotonic clock at which the response arrived.
    is_behind
        Whether other jobs, which this process queued before, are still with the server: it works on them first.
    is_followed
        Whether this process has queued other jobs after this one: the server goes on with them.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    sent_at: float
    at: float
    is_behind: bool = False
    is_followed: bool = False


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The request or the body did not come through."""

    error: DownloadError
    at: float


@dataclass(frozen=True, slots=True)
class NoPlace:
    """There is no place in the server's queue for another job."""

    at: float


@dataclass(frozen=True, slots=True)
class BodyRead:
    """The body arrived complete and undamaged."""

    at: float


@dataclass(frozen=True, slots=True)
class RestartDownload:
    """The body arrived complete, but its reader needs the export from the start; the server still has the files."""


Reply: TypeAlias = Response | TransportFailed | NoPlace | BodyRead | RestartDownload | None


@dataclass(frozen=True, slots=True)
class FetchResult:
    """How an export was fetched.

    Attributes
    ----------
    requested_at
        UNIX seconds at which the first request that the server accepted was sent: of the first part, or of an earlier
        call whose job was resumed.
    waited
        Whether the file was built after that: the server answered 202 to the request, or the export came in parts,
        the first of which is always built anew.
    parts
        The number of parts of the export.
    """

    requested_at: float
    waited: bool
    parts: int


def parse_max_age(cache_control: str | None) -> int | None:
    """Return the seconds of a ``Cache-Control`` of ours, if it is a ``max-age``."""
    name, _, seconds = (cache_control or "").partition("=")
    return int(seconds) if name == "max-age" else None


def max_age_since(instant: float, now: float) -> int:
    """Return the ``max-age`` that accepts a file built since an instant, in whole seconds."""
    return ceil(max(0.0, now - instant))
