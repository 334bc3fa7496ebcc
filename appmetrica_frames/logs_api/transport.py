"""HTTP: the only room that imports httpx. Sends what the flow asks for and hands on raw bytes."""

from __future__ import annotations

import logging
import random
import socket
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Protocol, Self

import httpx

from appmetrica_frames.errors import DownloadError
from appmetrica_frames.request.part import Part
from appmetrica_frames.util.config import is_loopback

from .protocol import RetryPolicy, export_protocol
from .steps import BodyRead, FetchResult, ReadBody, Response, RestartDownload, SendRequest, TransportFailed, Wait

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.util.clock import Clock
    from appmetrica_frames.util.config import Secret

    from .protocol import ExportProtocol
    from .queue import QueuePosition
    from .steps import Reply

log = logging.getLogger("appmetrica_frames")

LONGEST_ERROR_TEXT = 64 << 10
SLOWEST = 256  # bytes a second below which a server is taken for one that trickles


class Call(Protocol):
    """A GET: an export, or a question to the Management API."""

    @property
    def title(self) -> str:
        """What it is called in logs."""

    @property
    def path(self) -> str:
        """The path that it goes to."""

    def query(self, part: Part) -> tuple[tuple[str, str], ...]:
        """Return the pairs of its query string, for a part of what it asks."""


class Receiver(Protocol):
    """Who takes the bodies of 200s."""

    def __call__(self, body: ResponseBody, part: Part) -> bool:
        """Take a body; return False if the export has to come again from part 0.

        Raises
        ------
        DownloadError
            If the body is not whole: the flow asks for it again. Any other error ends the conversation.
        """


class Paused(Protocol):
    """Who is told of each pause, and may know better how far the job is."""

    def __call__(self, pause: Wait) -> QueuePosition | None:
        """Return how far the job is, where that can be known."""


class ResponseBody:
    """The raw bytes of a 200, as they come off the wire.

    Attributes
    ----------
    framed
        Whether HTTP itself tells a whole body from a cut one (Content-Length or chunks).
    """

    def __init__(self, response: httpx.Response, chunks: Iterable[bytes], reporter: ProgressReporter) -> None:
        headers = response.headers
        length = headers.get("content-length", "")
        self.framed = bool(length) or headers.get("transfer-encoding", "").lower() == "chunked"
        self.total = int(length) if length.isdigit() else None
        self.encoding = headers.get("content-encoding", "identity").strip().lower()
        self._response = response
        self._chunks = chunks
        self._reporter = reporter

    def abort(self) -> None:
        """Wake a thread that waits for the next bytes: they are not wanted any more."""
        stream = self._response.extensions.get("network_stream")
        connection = stream.get_extra_info("socket") if stream else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        with _as_download_error("while the file was downloading"):
            for chunk in self._chunks:
                size += len(chunk)
                self._reporter.downloading(size, self.total)
                yield chunk


class Connection:
    """A connection to one origin that carries the token there and nowhere else."""

    def __init__(self, origin: str, token: Secret, *, network_timeout: float, clock: Clock) -> None:
        url = httpx.URL(origin)
        self._token = token
        self._clock = clock
        self._network_timeout = network_timeout
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"OAuth {token.reveal()}", "Accept-Encoding": "gzip"},
            timeout=network_timeout,
            follow_redirects=False,  # a redirect would carry the token to wherever it points
            trust_env=not is_loopback(url.host),  # a proxy of the environment must not see a token sent in clear text
            # Loading the certificates takes longer than many an answer: once in a process, and not without TLS.
            verify=_certificates() if url.scheme == "https" else False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, call: Call, part: Part, cache_control: str | None) -> httpx.Response:
        """Return the answer to a call; its body is unread."""
        headers = {} if cache_control is None else {"Cache-Control": cache_control}
        asked = self._client.build_request("GET", call.path, params=list(call.query(part)), headers=headers)
        return self._client.send(asked, stream=True)

    def text(self, response: httpx.Response) -> str:
        """Return the beginning of a body that is not the file, without the token should a server echo it."""
        text = b""
        for piece in self.paced(response.iter_bytes()):
            text += piece
            if len(text) >= LONGEST_ERROR_TEXT:
                break
        return text[:LONGEST_ERROR_TEXT].decode("utf-8", "replace").replace(self._token.reveal(), "***")

    def paced(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield chunks; give up on a server that keeps a connection alive with next to nothing.

        Only the time that the server takes counts, not what happens to the chunks.
        """
        source, size, spent = iter(chunks), 0, 0.0
        while True:
            began = self._clock.monotonic()
            chunk = next(source, None)
            if chunk is None:
                return
            size, spent = size + len(chunk), spent + self._clock.monotonic() - began
            if spent > self._network_timeout:
                if size < SLOWEST * spent:
                    raise DownloadError(f"The server trickles: {size} bytes in {spent:.0f} s. Try again later.")
                size, spent = 0, 0.0
            yield chunk


def fetch(
    call: Call,
    cache_control: str | None,
    receive: Receiver,
    *,
    link: Connection,
    patience: RetryPolicy,
    clock: Clock,
    reporter: ProgressReporter,
    paused: Paused | None = None,
    resumed_parts: int | None = None,
) -> FetchResult:
    """Lead the conversation over a link, from the first request to the last byte received."""
    steps = export_protocol(
        cache_control, patience, began=clock.monotonic(), random=random.random, resumed_parts=resumed_parts
    )
    driver = _Driver(call, receive, link, clock, reporter=reporter, paused=paused)
    reply: Reply = None
    try:
        while True:
            reply = driver.take(steps, reply)
    except StopIteration as done:
        delivery: FetchResult = done.value
        return delivery
    finally:
        driver.hang_up()


class _Driver:
    """Takes the flow's steps: the one place where they have an effect."""

    def __init__(
        self,
        call: Call,
        receive: Receiver,
        link: Connection,
        clock: Clock,
        *,
        reporter: ProgressReporter,
        paused: Paused | None,
    ) -> None:
        self._call = call
        self._receive = receive
        self._link = link
        self._clock = clock
        self._reporter = reporter
        self._paused = paused
        self._response: httpx.Response | None = None

    def take(self, steps: ExportProtocol, reply: Reply) -> Reply:
        step = steps.send(reply)
        if isinstance(step, Wait):
            self._pause(step)
            return None
        try:
            return self._ask(step) if isinstance(step, SendRequest) else self._take_body(step)
        except DownloadError as error:
            self.hang_up()
            return TransportFailed(error, self._clock.monotonic())

    def hang_up(self) -> None:
        """Close the answer that is open, if any."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _ask(self, step: SendRequest) -> Response:
        self.hang_up()
        sent_at = self._clock.now()
        with _as_download_error("before it answered"):
            self._response = response = self._link.get(self._call, step.part, step.cache_control)
            text = "" if response.status_code == httpx.codes.OK else self._link.text(response)
        log.debug("%s %s: HTTP %s", self._call.title, step.part, response.status_code)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status_code, headers, text, sent_at, self._clock.monotonic())

    def _take_body(self, step: ReadBody) -> BodyRead | RestartDownload:
        if self._response is None:
            raise TypeError("there is no answer whose body could be received")
        body = ResponseBody(self._response, self._link.paced(self._response.iter_raw()), self._reporter)
        done = self._receive(body, step.part)
        self.hang_up()
        return BodyRead(self._clock.monotonic()) if done else RestartDownload()

    def _pause(self, pause: Wait) -> None:
        self.hang_up()
        # The progress of a job that the server has accepted is logged by whoever watches, more rarely.
        level = logging.INFO if pause.accepted_at is None else logging.DEBUG
        log.log(level, "%s: %s; next question in %.1f s", self._call.title, pause.reason, pause.seconds)
        standing = self._paused(pause) if self._paused else None
        left, waited = pause.seconds, pause.waited
        while left > 0:
            self._reporter.preparing(waited, pause.fraction, standing)
            interval = min(self._reporter.interval, left)
            self._clock.sleep(interval)
            left, waited = left - interval, waited + interval


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


@contextmanager
def _as_download_error(when: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        text = str(error) or type(error).__name__
        _forget_frames(error)
        raise DownloadError(f"The connection to the server broke {when}: {text}. Try again later.") from error


def _forget_frames(error: BaseException | None) -> None:
    """Take the frames of the HTTP libraries off an error: they hold the request as it is sent, with the token."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
