"""HTTP: the only room that imports httpx. Sends what the flow asks for and hands on raw bytes."""

from __future__ import annotations

import logging
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import httpx

from .config import is_loopback
from .errors import DownloadError
from .flow import Answer, Ask, Delivery, Fault, Patience, Pause, ReadAgain, Receive, Received, conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from .clock import Clock
    from .config import Secret
    from .flow import Reply, Step
    from .progress import Watcher
    from .request import ExportRequest

log = logging.getLogger("appmetrica_frames")

LONGEST_ERROR_TEXT = 64 << 10


class Body:
    """The raw bytes of a 200, as they come off the wire.

    Attributes
    ----------
    framed
        Whether HTTP itself tells a whole body from a cut one (Content-Length or chunks).
    """

    def __init__(self, response: httpx.Response, watcher: Watcher) -> None:
        headers = response.headers
        length = headers.get("content-length", "")
        self.framed = bool(length) or headers.get("transfer-encoding", "").lower() == "chunked"
        self.total = int(length) if length.isdigit() else None
        self.encoding = headers.get("content-encoding", "identity").strip().lower()
        self._response = response
        self._watcher = watcher

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        with _as_download_error("while the file was downloading"):
            for chunk in self._response.iter_raw():
                size += len(chunk)
                self._watcher.downloading(size, self.total)
                yield chunk


class Link:
    """A connection to one origin that carries the token there and nowhere else."""

    def __init__(self, origin: str, token: Secret, *, network_timeout: float) -> None:
        url = httpx.URL(origin)
        self._token = token
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"OAuth {token.reveal()}", "Accept-Encoding": "gzip"},
            timeout=network_timeout,
            follow_redirects=False,  # a redirect would carry the token to wherever it points
            trust_env=not is_loopback(url.host),  # a proxy of the environment must not see a token sent in clear text
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, request: ExportRequest, cache_control: str | None) -> httpx.Response:
        """Return the answer to a request; its body is unread."""
        headers = {} if cache_control is None else {"Cache-Control": cache_control}
        asked = self._client.build_request("GET", request.path, params=list(request.query), headers=headers)
        return self._client.send(asked, stream=True)

    def error_text(self, response: httpx.Response) -> str:
        """Return the beginning of a body that is not the file, without the token should a server echo it."""
        text = b""
        for piece in response.iter_bytes():
            text += piece
            if len(text) >= LONGEST_ERROR_TEXT:
                break
        return text[:LONGEST_ERROR_TEXT].decode("utf-8", "replace").replace(self._token.reveal(), "***")


def fetch(
    request: ExportRequest,
    cache_control: str | None,
    receive: Callable[[Body], bool],
    *,
    link: Link,
    patience: Patience,
    clock: Clock,
    watcher: Watcher,
) -> Delivery:
    """Lead the conversation over a link.

    `receive` is given the body of each 200. It returns whether it is done, or has to be given the body once more; it
    raises `DownloadError` for a body that is not whole, which is then downloaded again. Any other error of it ends
    the conversation.
    """
    steps = conversation(cache_control, patience, began=clock.monotonic(), random=random.random)
    driver = _Driver(request, receive, link, clock, watcher)
    reply: Reply = None
    try:
        while True:
            reply = driver.take(steps, reply)
    except StopIteration as done:
        delivery: Delivery = done.value
        return delivery
    finally:
        driver.hang_up()


class _Driver:
    """Takes the flow's steps: the one place where they have an effect."""

    def __init__(
        self,
        request: ExportRequest,
        receive: Callable[[Body], bool],
        link: Link,
        clock: Clock,
        watcher: Watcher,
    ) -> None:
        self._request = request
        self._receive = receive
        self._link = link
        self._clock = clock
        self._watcher = watcher
        self._response: httpx.Response | None = None

    def take(self, steps: Generator[Step, Reply, Delivery], reply: Reply) -> Reply:
        step = steps.send(reply)
        if isinstance(step, Pause):
            self._pause(step)
            return None
        try:
            return self._ask(step) if isinstance(step, Ask) else self._take_body(step)
        except DownloadError as error:
            self.hang_up()
            return Fault(error, self._clock.monotonic())

    def hang_up(self) -> None:
        """Close the answer that is open, if any."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _ask(self, step: Ask) -> Answer:
        self.hang_up()
        sent_at = self._clock.now()
        with _as_download_error("before it answered"):
            self._response = response = self._link.get(self._request, step.cache_control)
            text = "" if response.status_code == httpx.codes.OK else self._link.error_text(response)
        headers = {name.lower(): value for name, value in response.headers.items()}
        log.debug("%s answered %s", self._request.resource, response.status_code)
        return Answer(response.status_code, headers, text, sent_at, self._clock.monotonic())

    def _take_body(self, _: Receive) -> Received | ReadAgain:
        if self._response is None:
            raise TypeError("there is no answer whose body could be received")
        done = self._receive(Body(self._response, self._watcher))
        self.hang_up()
        return Received() if done else ReadAgain()

    def _pause(self, pause: Pause) -> None:
        self.hang_up()
        log.info("%s: %s; next question in %.1f s", self._request.resource, pause.reason, pause.seconds)
        left, waited = pause.seconds, pause.waited
        while left > 0:
            self._watcher.preparing(waited, pause.fraction)
            tick = min(self._watcher.tick, left)
            self._clock.sleep(tick)
            left, waited = left - tick, waited + tick


@contextmanager
def _as_download_error(when: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        text = str(error) or type(error).__name__
        raise DownloadError(f"The connection to the server broke {when}: {text}") from error
