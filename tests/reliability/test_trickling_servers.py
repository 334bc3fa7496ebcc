"""A server that sends next to nothing is too slow to wait for; only the time that the server takes counts."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import httpcore
import pytest

import appmetrica_frames as af
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.integrations import polars as frames
from appmetrica_frames.logs_api.network import MIN_SPEED, MeteredStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 60.0


class ManualClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return 1_722_340_800.0 + self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class FakeSocket(httpcore.NetworkStream):
    """Gives a chunk at each read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return next(self._chunks, b"")


def chunks(clock: ManualClock, count: int, *, size: int, every: float) -> Iterator[bytes]:
    for _ in range(count):
        clock.time += every
        yield b"x" * size


def drain(stream: MeteredStream) -> None:
    while stream.read(1 << 16):
        pass


def read_body(clock: ManualClock, sent: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what a server sends as a body, as the connection reads it."""
    stream = MeteredStream(FakeSocket(sent), clock, TIMEOUT)
    stream.start_body()
    while chunk := stream.read(1 << 16):
        stream.pace.advance(len(chunk))
        yield chunk


@pytest.mark.parametrize(("size", "every"), [(1, 1.0), (1, 59.0), (MIN_SPEED - 1, 1.0)])
def test_a_trickle_soon_becomes_an_error(size: int, every: float) -> None:
    clock = ManualClock()
    with pytest.raises(httpcore.ReadTimeout, match="too slow"):
        list(read_body(clock, chunks(clock, 10_000, size=size, every=every)))
    assert clock.time <= 2 * TIMEOUT


def test_bytes_that_are_not_body_are_no_progress() -> None:
    """Chunk sizes, chunk extensions and trailers, however many of them come."""
    clock = ManualClock()
    stream = MeteredStream(FakeSocket(chunks(clock, 10_000, size=1 << 10, every=0.5)), clock, TIMEOUT)
    stream.start_body()
    with pytest.raises(httpcore.ReadTimeout, match="too slow: 0 bytes"):
        drain(stream)
    assert clock.time <= 2 * TIMEOUT


def test_headers_have_one_deadline_however_many_bytes_come() -> None:
    clock = ManualClock()
    stream = MeteredStream(FakeSocket(chunks(clock, 10_000, size=100, every=0.5)), clock, TIMEOUT)
    with pytest.raises(httpcore.ReadTimeout, match="headers are incomplete"):
        drain(stream)
    assert clock.time <= TIMEOUT + 0.5


def test_endless_headers_end_at_a_limit() -> None:
    clock = ManualClock()
    stream = MeteredStream(FakeSocket(chunks(clock, 10_000, size=1 << 10, every=0.0)), clock, TIMEOUT)
    with pytest.raises(httpcore.RemoteProtocolError, match="longer than 256 KiB"):
        drain(stream)


@pytest.mark.parametrize(("size", "every"), [(MIN_SPEED, 1.0), (MIN_SPEED * 50, 50.0), (1 << 20, 0.1)])
def test_a_slow_but_steady_server_is_read_to_the_end(size: int, every: float) -> None:
    clock = ManualClock()
    assert sum(map(len, read_body(clock, chunks(clock, 1000, size=size, every=every)))) == 1000 * size


def test_a_trickle_after_a_fast_start_becomes_an_error() -> None:
    clock = ManualClock()

    def fading() -> Iterator[bytes]:
        yield from chunks(clock, 100, size=1 << 20, every=1.0)
        yield from chunks(clock, 10_000, size=1, every=1.0)

    with pytest.raises(httpcore.ReadTimeout, match="too slow"):
        list(read_body(clock, fading()))
    assert clock.time <= 100 + 3 * TIMEOUT


def test_a_slow_reader_does_not_count() -> None:
    clock, size = ManualClock(), 0
    for chunk in read_body(clock, chunks(clock, 100, size=1, every=0.1)):
        clock.time += 600  # who decodes and writes
        size += len(chunk)
    assert size == 100


# Each of these is sent in pieces, with a pause between two: never silent for as long as network_timeout.
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY_MEMBER = gzip.compress(b"")
HANGS = {
    "a slow status line": (b"", b"H", 0.3),
    "a slow header": (HEAD + b"X-Slow: ", b"x", 0.3),
    "endless headers": (HEAD, b"X-More: and more\r\n", 0.3),
    "endless 100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1),
    "fast 100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.0),
    "a slow chunk size": (CHUNKED, b"0", 0.3),
    "a slow chunk extension": (CHUNKED + b"1;", b"e", 0.3),
    "a slow chunk": (CHUNKED + b"fffff\r\n", b"x", 0.3),
    "small chunks": (CHUNKED, b"1\r\nx\r\n", 0.3),
    "a slow trailer": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Slow: ", b"x", 0.3),
    "endless trailers": (CHUNKED + b"5\r\nhello\r\n0\r\n", b"X-More: and more\r\n", 0.3),
    "a slow body": (HEAD + b"Content-Length: 1000000\r\n\r\n", b"x", 0.3),
    "a slow body without a length": (HEAD + b"\r\n", b"x", 0.3),
    "a slow text": (b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n", b"x", 0.3),
    "a 202 of empty gzip members": (
        b"HTTP/1.1 202 Accepted\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
        EMPTY_MEMBER,
        0.1,
    ),
    "a fast 202 of empty gzip members": (
        b"HTTP/1.1 202 Accepted\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n",
        EMPTY_MEMBER * 100,
        0.0,
    ),
}


@pytest.mark.parametrize("case", HANGS)
def test_no_phase_of_a_response_can_hang(case: str, trickling_server: Callable[..., str]) -> None:
    client = af.Client(
        "canary-token",
        base_url=trickling_server(*HANGS[case]),
        network_timeout=0.8,
        retries=0,
        prepare_timeout=0.5,
        poll=(0.0, 0.1),
        progress=False,
    )
    began = time.monotonic()
    with pytest.raises((af.DownloadError, af.ServerError, af.PreparationTimeoutError, af.DecodeError)):
        af.read_appmetrica("push_tokens", application_id=1, fields=["token", "city"], client=client)
    assert time.monotonic() - began < 10


@pytest.fixture
def trickling_server() -> Iterator[Callable[..., str]]:
    """Start servers that answer with a beginning, and then with the same piece again and again.

    Where `then` is given, only the first request is answered so, and the others with that.
    """
    stop = threading.Event()
    with ExitStack() as scope:

        def start(
            beginning: bytes,
            piece: bytes,
            pause: float,
            *,
            then: bytes | None = None,
            requests: list[bytes] | None = None,
        ) -> str:
            listener = scope.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(
                target=serve, args=(listener, (beginning, piece, pause), then, [] if requests is None else requests)
            )
            thread.start()
            scope.callback(thread.join)
            scope.callback(shut_down, listener, stop)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        def serve(
            listener: socket.socket, trickle: tuple[bytes, bytes, float], then: bytes | None, requests: list[bytes]
        ) -> None:
            beginning, piece, pause = trickle
            while not stop.is_set():
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(30)  # on a busy machine, a request may take its time
                    requests.append(connection.recv(65536))
                    if then is not None and len(requests) > 1:
                        connection.sendall(then)
                        continue
                    connection.sendall(beginning)
                    while not stop.wait(pause):
                        connection.sendall(piece)

        yield start


def shut_down(listener: socket.socket, stop: threading.Event) -> None:
    stop.set()
    with suppress(OSError):  # a connection of our own wakes the thread out of accept()
        socket.create_connection(listener.getsockname()).close()


@pytest.mark.parametrize("status", ["200 OK", "503 Busy"])
def test_an_export_that_trickles_is_requested_again(status: str, trickling_server: Callable[..., str]) -> None:
    """Through the public interface: on the clock of this test, each piece of the first response takes half a minute."""
    body = gzip.compress(b"appmetrica_device_id,token\n1,a")
    requests: list[bytes] = []
    beginning = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    url = trickling_server(beginning, b"1\r\nx\r\n", 0.01, then=whole, requests=requests)
    clock = ManualClock()

    class SlowClock(ManualClock):
        """Half a minute passes between two readings of the clock while the first response is read."""

        def monotonic(self) -> float:
            clock.time += 31.0 if len(requests) == 1 else 0.0
            return clock.time

    request = build_options(
        "push_tokens",
        application_id=1,
        fields=["token", "appmetrica_device_id"],
        client=af.Client("canary-token", base_url=url, retries=1, network_timeout=60.0, poll=(0, 0), progress=False),
    )
    with open_exports(request, clock=SlowClock()) as exports:
        assert frames.read(exports)["token"].to_list() == ["a"]
    assert sum(b"/export/push_tokens" in sent for sent in requests) == 2
    assert clock.time < 20 * 60
