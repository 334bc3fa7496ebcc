"""HTTP: the only module that imports httpx. Sends the requests and returns raw bytes."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import httpx

from appmetrica_frames.errors import DownloadError
from appmetrica_frames.util.config import is_loopback

from .responses import error_from_response
from .steps import Response
from .texts import MAX_JSON, parse_document

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.util.clock import Clock
    from appmetrica_frames.util.config import Secret

MIN_SPEED = 256  # bytes per second; a server that sends less is too slow to wait for


class ResponseBody:
    """The raw bytes of a 200, as they come off the wire.

    Attributes
    ----------
    framed
        Whether HTTP itself tells a complete body from a cut one (Content-Length or chunks).
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
        """Wake up a thread that waits for the next bytes: nobody wants them any more."""
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


class HttpResponse:
    """A response whose body is still to be read; the driver and the connection close it."""

    def __init__(self, response: httpx.Response, connection: Connection, sent_at: float) -> None:
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._connection = connection
        self._sent_at = sent_at

    def body(self, reporter: ProgressReporter) -> ResponseBody:
        """Return the body, to be read once."""
        chunks = self._connection.limit_slowness(self._response.iter_raw())
        return ResponseBody(self._response, chunks, reporter)

    def with_text(self, limit: int) -> Response:
        """Return the response with the beginning of its body as text."""
        with _as_download_error("before it answered"):
            text = self._connection.read_text(self._response, limit)
        return self._to_reply(text)

    def without_text(self) -> Response:
        """Return the response, its body unread."""
        return self._to_reply("")

    def close(self) -> None:
        """Close the response, and the connection unless the body was read to its end."""
        self._response.close()

    def _to_reply(self, text: str) -> Response:
        return Response(self.status, self.headers, text, self._sent_at, self._connection.clock.monotonic())


class Connection:
    """A connection to one origin that carries the token there and nowhere else."""

    def __init__(self, origin: str, token: Secret, *, network_timeout: float, clock: Clock) -> None:
        url = httpx.URL(origin)
        self.origin = origin
        self.clock = clock
        self._token = token
        self._network_timeout = network_timeout
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"OAuth {token.reveal()}", "Accept-Encoding": "gzip"},
            timeout=network_timeout,
            follow_redirects=False,  # a redirect would carry the token to wherever it points
            trust_env=not is_loopback(url.host),  # a proxy of the environment must not see a token sent in clear text
            # Loading the certificates takes longer than many a request: once per process, and not without TLS.
            verify=_certificates() if url.scheme == "https" else False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def open(
        self, path: str, params: Iterable[tuple[str, str]] = (), *, cache_control: str | None = None
    ) -> HttpResponse:
        """Send a GET and return the response as soon as its headers are there; the caller closes it."""
        headers = {} if cache_control is None else {"Cache-Control": cache_control}
        sent_at = self.clock.now()
        with _as_download_error("before it answered"):
            request = self._client.build_request("GET", path, params=list(params), headers=headers)
            return HttpResponse(self._client.send(request, stream=True), self, sent_at)

    def get(self, path: str, params: Iterable[tuple[str, str]] = ()) -> Response:
        """Return the response to a GET with its text."""
        response = self.open(path, params)
        try:
            return response.with_text(MAX_JSON)
        finally:
            response.close()

    def get_json(self, path: str, params: Iterable[tuple[str, str]] = ()) -> Any:
        """Return the JSON document that a GET answers with, after one try.

        Raises
        ------
        AppMetricaError
            The typed error of any other response.
        """
        response = self.get(path, params)
        if response.status != HTTPStatus.OK:
            raise error_from_response(response)
        return parse_document(response.text, path)

    def read_text(self, response: httpx.Response, limit: int) -> str:
        """Return the beginning of a body as text, with the token masked in case the server echoes it."""
        text = b""
        for piece in self.limit_slowness(response.iter_bytes()):
            text += piece
            if len(text) >= limit:
                break
        return text[:limit].decode("utf-8", "replace").replace(self._token.reveal(), "***")

    def limit_slowness(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield chunks; stop with an error if the server keeps a connection alive with next to nothing.

        Only the time that the server takes counts, not the time that the chunks take to be read.
        """
        source, size, spent = iter(chunks), 0, 0.0
        while True:
            began = self.clock.monotonic()
            chunk = next(source, None)
            if chunk is None:
                return
            size, spent = size + len(chunk), spent + self.clock.monotonic() - began
            if spent > self._network_timeout:
                if size < MIN_SPEED * spent:
                    raise DownloadError(f"The download is too slow: {size} bytes in {spent:.0f} s. Try again later.")
                size, spent = 0, 0.0
            yield chunk


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
    """Remove the frames of the HTTP libraries from an error: they hold the request as it is sent, with the token."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
