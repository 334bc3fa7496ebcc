"""HTTP: the only module that imports httpx. Sends the requests and returns raw bytes."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from appmetrica_frames.errors import DownloadError
from appmetrica_frames.util.config import is_loopback
from appmetrica_frames.util.version import __version__

from .masking import TokenMask
from .network import MeteredBackend, MeteredStream
from .responses import error_from_response
from .steps import Response
from .texts import MAX_JSON, decode_text, parse_document, read_raw

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    from appmetrica_frames.progress import ProgressReporter
    from appmetrica_frames.util.clock import Clock
    from appmetrica_frames.util.config import Secret

log = logging.getLogger("appmetrica_frames")

MAX_CONNECTIONS = 10
KEEPALIVE = 5.0  # seconds
CONNECT_ERRORS = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.ProxyError,
)
HTTP_ERRORS = (
    httpx.HTTPError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    ValueError,  # of int(), which older versions of h11 let through for a Content-Length of thousands of digits
)


class ResponseBody:
    """The raw bytes of a 200, as they come off the wire.

    Attributes
    ----------
    framed
        Whether HTTP itself tells a complete body from a cut one (Content-Length or chunks).
    total
        The length of the body in bytes, where the server announces it.
    encoding
        The ``Content-Encoding``, in lower case.
    """

    def __init__(self, response: HttpResponse, reporter: ProgressReporter) -> None:
        headers = response.headers
        chunked, length = "transfer-encoding" in headers, headers.get("content-length", "")
        self.framed = chunked or bool(length)
        self.total = int(length) if length and not chunked else None
        self.encoding = headers.get("content-encoding", "identity").strip().lower()
        self._response = response
        self._reporter = reporter

    def abort(self) -> None:
        """Wake up a thread that waits for the next bytes: nobody wants them any more."""
        self._response.abort()

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._response.iter_raw("while the file was downloading"):
            size += len(chunk)
            self._reporter.downloading(size, self.total)
            if size == self.total and self._response.has_more_than(size):
                raise DownloadError(f"The body is longer than its Content-Length of {size} bytes. Download it again.")
            yield chunk


class HttpResponse:
    """A response whose headers are there, and whose body is still to be read."""

    def __init__(self, response: httpx.Response, mask: TokenMask, clock: Clock, sent_at: float, *, origin: str) -> None:
        self.status = response.status_code
        self.headers = {name.lower(): mask.text(value) for name, value in response.headers.items()}
        self._response = response
        self._stream: MeteredStream = response.extensions["network_stream"]
        self._stream.start_body()
        self._mask = mask
        self._clock = clock
        self._sent_at = sent_at
        self._origin = origin

    def body(self, reporter: ProgressReporter) -> ResponseBody:
        """Return the body, to be read once."""
        return ResponseBody(self, reporter)

    def iter_raw(self, when: str) -> Iterator[bytes]:
        """Yield the bytes of the body as they come; `when` is for the text of an error."""
        with _as_download_error(when, self._mask, self._origin):
            for chunk in self._response.iter_raw():
                self._stream.pace.advance(len(chunk))
                yield chunk

    def has_more_than(self, length: int) -> bool:
        """Return whether bytes have arrived after a body of this length."""
        return self._stream.has_more_than(length)

    def with_text(self, limit: int) -> Response:
        """Return the response with the beginning of its body as text, the token masked should the server echo it."""
        raw = read_raw(self.iter_raw("before it answered"), limit)
        encoding = self.headers.get("content-encoding", "").strip().lower()
        return self._to_reply(self._mask.cut_text(decode_text(raw, encoding, limit)))

    def without_text(self) -> Response:
        """Return the response, its body unread."""
        return self._to_reply("")

    def abort(self) -> None:
        """Shut the socket down."""
        self._stream.abort()

    def close(self) -> None:
        """Close the response, and the socket unless the body was read to its end."""
        self._response.close()

    def _to_reply(self, text: str) -> Response:
        return Response(self.status, self.headers, text, self._sent_at, self._clock.monotonic())


class Connection:
    """A connection to one origin that carries the token there and nowhere else; a context manager.

    Attributes
    ----------
    notify
        Is told, while a request is under way, what its user should know. Default: the log.
    """

    def __init__(self, origin: str, token: Secret, *, network_timeout: float, clock: Clock) -> None:
        self.origin = origin
        self.clock = clock
        self.mask = TokenMask(token)
        self.notify: Callable[[str], None] = log.warning
        self._scope = ExitStack()
        self._transport = _MeteredTransport(httpx.URL(origin), clock, network_timeout, self._notify_slow)
        self._client = httpx.Client(
            base_url=origin,
            headers={
                "Authorization": f"OAuth {token.reveal()}",
                "Accept-Encoding": "gzip",
                "User-Agent": f"appmetrica-frames/{__version__}",
            },
            timeout=network_timeout,
            follow_redirects=False,  # a redirect would carry the token to wherever it points
            transport=self._transport,
            trust_env=False,  # the transport knows the proxy
        )

    def __enter__(self) -> Self:
        self._scope.enter_context(self.mask.active())
        self._scope.callback(self._client.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._scope.close()

    def open(
        self,
        path: str,
        params: Iterable[tuple[str, str]] = (),
        *,
        cache_control: str | None = None,
        sent_at: float | None = None,
    ) -> HttpResponse:
        """Send a GET and return the response as soon as its headers are there; the caller closes it.

        `sent_at` is now, in UNIX seconds, if the caller has looked at the clock already.
        """
        headers = {} if cache_control is None else {"Cache-Control": cache_control}
        sent_at = self.clock.now() if sent_at is None else sent_at
        with _as_download_error("before it answered", self.mask, self.origin):
            request = self._client.build_request("GET", path, params=list(params), headers=headers)
            response = self._client.send(request, stream=True)
            return HttpResponse(response, self.mask, self.clock, sent_at, origin=self.origin)

    def abort(self) -> None:
        """Break off whatever another thread does with the connection; it gets a `DownloadError`."""
        self._transport.abort()

    def _notify_slow(self) -> None:
        self.notify(f"{self.origin} has not accepted the connection yet: still trying")

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


class _MeteredTransport(httpx.BaseTransport):
    """httpx's own transport, over sockets that bound each phase of a response in time."""

    def __init__(self, origin: httpx.URL, clock: Clock, timeout: float, on_slow_connect: Callable[[], None]) -> None:
        # Loading the certificates takes longer than many a request: once per process, and not without TLS.
        context = _certificates() if origin.scheme == "https" else None
        self._backend = MeteredBackend(clock, timeout, on_slow_connect=on_slow_connect)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            proxy=_environment_proxy(origin, context),
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE,
            network_backend=self._backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=_to_httpcore(request.url),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        # httpx reads the address of a redirect although it does not follow it, and fails if that is malformed.
        headers = [(name, value) for name, value in response.headers if name.lower() != b"location"]
        return httpx.Response(
            response.status, headers=headers, stream=_Stream(response), extensions=response.extensions
        )

    def abort(self) -> None:
        self._backend.abort()

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _environment_proxy(origin: httpx.URL, context: ssl.SSLContext | None) -> httpcore.Proxy | None:
    if is_loopback(origin.host):  # a proxy must not see a token sent in clear text
        return None
    proxies = getproxies()
    address = proxies.get(origin.scheme) or proxies.get("all")
    if not address or proxy_bypass(origin.host):
        return None
    proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    return httpcore.Proxy(
        _to_httpcore(proxy.url), auth=proxy.raw_auth, ssl_context=context if proxy.url.scheme == "https" else None
    )


def _to_httpcore(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


@contextmanager
def _as_download_error(when: str, mask: TokenMask, origin: str) -> Iterator[None]:
    try:
        yield
    except HTTP_ERRORS as error:
        mask.error(error)
        text = str(error) or type(error).__name__
        _forget_frames(error)
        if isinstance(error, CONNECT_ERRORS):
            raise DownloadError(f"{origin} cannot be reached: {text}. Check the network and this address.") from error
        raise DownloadError(f"The connection to {origin} broke {when}: {text}. Try again later.") from error


def _forget_frames(error: BaseException | None) -> None:
    """Remove the frames of the HTTP libraries from an error: they hold the request as it is sent, with the token."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
