"""What the flow yields and what it is told: the vocabulary that it shares with whoever has the network."""

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
class Wait:
    """Let so many seconds pass. No reply.

    Attributes
    ----------
    reason
        Why, for the log.
    waited
        Seconds waited so far.
    fraction
        How much of the file the server says is prepared, from 0 to 1.
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
    """Read the body of the 200 just answered, to its end; reply `BodyRead`, `RestartDownload` or `TransportFailed`.

    Part 0 begins the export anew: whatever was received before it is void.
    """

    part: Part = WHOLE


Step: TypeAlias = SendRequest | Wait | ReadBody


@dataclass(frozen=True, slots=True)
class Response:
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
class TransportFailed:
    """The request or the body did not come through."""

    error: DownloadError
    at: float


@dataclass(frozen=True, slots=True)
class BodyRead:
    """The body was received, whole and sound."""

    at: float


@dataclass(frozen=True, slots=True)
class RestartDownload:
    """The body came whole, but its reader needs the export from its beginning; the server still has the files."""


Reply: TypeAlias = Response | TransportFailed | BodyRead | RestartDownload | None


@dataclass(frozen=True, slots=True)
class FetchResult:
    """How the file came.

    Attributes
    ----------
    requested_at
        UNIX seconds at which the first request that the server accepted was sent.
    waited
        Whether the server said 202 to that request.
    parts
        In how many parts the export came.
    """

    requested_at: float
    waited: bool
    parts: int
