"""The steps that the export protocol yields, and the replies that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from appmetrica_frames.request.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appmetrica_frames.errors import DownloadError


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send the request for a part, with this ``Cache-Control`` if any; reply with a `Response` or `TransportFailed`."""

    cache_control: str | None
    part: Part = WHOLE


@dataclass(frozen=True, slots=True)
class QueuePart:
    """Have the server queue a part ahead of its turn, if there is a place for it in the server's queue.

    Reply with a `Response` or `TransportFailed`, or with `NoPlace` if no request was sent. A body is not read.
    """

    part: Part


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
        When the request that the server accepted was sent, in UNIX seconds, if it accepted one.
    part
        The part that is waited for.
    """

    seconds: float
    reason: str
    waited: float
    fraction: float | None = None
    accepted_at: float | None = None
    part: Part = WHOLE


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
    """

    status: int
    headers: Mapping[str, str]
    text: str
    sent_at: float
    at: float


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The request or the body did not come through."""

    error: DownloadError
    at: float


@dataclass(frozen=True, slots=True)
class NoPlace:
    """There is no place in the server's queue for another part."""


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
        UNIX seconds at which the first request that the server accepted was sent.
    waited
        Whether the server answered 202 to that request.
    parts
        The number of parts of the export.
    """

    requested_at: float
    waited: bool
    parts: int
