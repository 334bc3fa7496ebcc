"""Sockets that bound every phase of a response in time, and know which bytes came after its end.

The timeouts of httpx and httpcore are for one read from the socket. A server that sends a byte now and then, in a
header, a chunk extension, a trailer or in responses with the status 100, never meets them. Here is the one place where
all bytes pass, whatever they are part of.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from socket import SHUT_RDWR
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from httpcore import SOCKET_OPTION

    from appmetrica_frames.util.clock import Clock

MIN_SPEED = 256  # bytes of the body per second; a server that sends less is too slow to wait for
MAX_HEAD = 256 << 10  # bytes of status lines and headers, of responses with a status of 1xx, too
SLOW_CONNECT = 2.0  # seconds for each address of the server, after which somebody is told
PROBE = 0.001  # seconds in which bytes that have already arrived can be read

_BLANK_LINE = re.compile(rb"\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/\d\.\d 1\d\d\b")


class Pace:
    """How long the server may take: `timeout` for its headers, then for each `MIN_SPEED * timeout` bytes of the body.

    Only the time that the server takes counts, not the time that passes between two reads.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self.start_headers()

    def start_headers(self) -> None:
        """Start the clock of a new response."""
        self._in_body = False
        self._spent = 0.0
        self._size = 0

    def start_body(self) -> None:
        """Start the clock of the body."""
        self._in_body = True
        self._spent = 0.0

    def advance(self, size: int) -> None:
        """Count bytes of the body: the only ones that bring a download nearer to its end."""
        self._size += size

    def limit(self, timeout: float | None) -> float:
        """Return how long the next read may take; raise `httpcore.ReadTimeout` if the server is too slow."""
        if self._spent > self._timeout:
            self._check_speed()
        allowed = self._timeout if timeout is None else min(timeout, self._timeout)
        return allowed if self._in_body else max(PROBE, min(allowed, self._timeout - self._spent))

    def spend(self, seconds: float) -> None:
        """Count the time that a read took."""
        self._spent += seconds

    def _check_speed(self) -> None:
        if not self._in_body:
            raise httpcore.ReadTimeout(f"the headers are incomplete after {self._spent:.0f} s")
        if self._size < MIN_SPEED * self._spent:
            raise httpcore.ReadTimeout(f"it is too slow: {self._size} bytes in {self._spent:.0f} s")
        self._spent, self._size = 0.0, 0


class MeteredStream(httpcore.NetworkStream):
    """A socket that counts what it reads."""

    def __init__(
        self,
        stream: httpcore.NetworkStream,
        clock: Clock,
        timeout: float,
        register: Callable[[MeteredStream], None] = lambda _: None,
    ) -> None:
        self.pace = Pace(timeout)
        self._stream = stream
        self._register = register
        self._clock = clock
        self._timeout = timeout
        self._head: bytearray | None = bytearray()
        self._body_received = 0

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # What is written is a request: the bytes after it are those of a new response.
        self.pace.start_headers()
        self._head, self._body_received = bytearray(), 0
        self._stream.write(buffer, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        allowed, began = self.pace.limit(timeout), self._clock.monotonic()
        data = self._stream.read(max_bytes, allowed)
        self.pace.spend(self._clock.monotonic() - began)
        self._count(data)
        return data

    def start_body(self) -> None:
        """Note that the headers are complete: what has come after them is body."""
        head, self._head = self._head or bytearray(), None
        self._body_received = len(head) - head_size(head)
        self.pace.start_body()

    def has_more_than(self, length: int) -> bool:
        """Return whether bytes have arrived after a body of this length."""
        if self._body_received == length and self._stream.get_extra_info("is_readable"):
            with suppress(httpcore.ReadTimeout, httpcore.ReadError):
                self._count(self._stream.read(1, PROBE))
        return self._body_received > length

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        # TLS takes the socket over: from now on only the new stream can shut it down.
        secure = self._stream.start_tls(ssl_context, server_hostname, timeout)
        metered = MeteredStream(secure, self._clock, self._timeout, self._register)
        self._register(metered)
        return metered

    def close(self) -> None:
        self._stream.close()

    def abort(self) -> None:
        """Shut the socket down: another thread may wait for it."""
        socket = self.get_extra_info("socket")
        if socket is not None:
            with suppress(OSError):
                socket.shutdown(SHUT_RDWR)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _count(self, data: bytes) -> None:
        if self._head is None:
            self._body_received += len(data)
            return
        self._head += data
        if len(self._head) > MAX_HEAD:
            raise httpcore.RemoteProtocolError(f"the headers are longer than {MAX_HEAD >> 10} KiB")


class MeteredBackend(httpcore.NetworkBackend):
    """Opens sockets that count what they read, and shuts them down when nobody wants them any more."""

    def __init__(
        self,
        clock: Clock,
        timeout: float,
        *,
        on_slow_connect: Callable[[], None] = lambda: None,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._backend = backend or httpcore.SyncBackend()
        self._on_slow_connect = on_slow_connect
        self._clock = clock
        self._timeout = timeout
        self._open: WeakSet[MeteredStream] = WeakSet()
        self._lock = Lock()
        self._is_aborted = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self._check()
        connect = partial(
            self._backend.connect_tcp, host, port, local_address=local_address, socket_options=socket_options
        )
        stream = self._connect(connect, timeout)
        metered = MeteredStream(stream, self._clock, self._timeout, self._register)
        self._register(metered)
        return metered

    def _connect(self, connect: Callable[..., httpcore.NetworkStream], timeout: float | None) -> httpcore.NetworkStream:
        """Connect in two tries, and tell in between that it takes long."""
        if timeout is None or timeout > SLOW_CONNECT:
            with suppress(httpcore.ConnectTimeout):
                return connect(timeout=SLOW_CONNECT)
            self._on_slow_connect()
            self._check()
            timeout = None if timeout is None else timeout - SLOW_CONNECT
        return connect(timeout=timeout)

    def abort(self) -> None:
        """Shut all sockets down, and open no more."""
        self._is_aborted = True
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            stream.abort()

    def _register(self, stream: MeteredStream) -> None:
        """Keep a stream that has been opened, to be shut down should nobody want it any more."""
        with self._lock:
            self._open.add(stream)
        try:
            self._check()
        except httpcore.ConnectError:
            stream.close()
            raise

    def _check(self) -> None:
        if self._is_aborted:
            raise httpcore.ConnectError("the connection is closed")


def head_size(received: bytes | bytearray) -> int:
    """Return the number of bytes before the body: those of the response, and of responses with a status of 1xx."""
    start = 0
    while end := _BLANK_LINE.search(received, start):
        if not _INFORMATIONAL.match(received, start):
            return end.end()
        start = end.end()
    return len(received)
