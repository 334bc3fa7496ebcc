"""A server that sends next to nothing is too slow to wait for; only the time that the server takes counts."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.engine.resolve import open_exports
from appmetrica_frames.integrations import polars as frames
from appmetrica_frames.logs_api.transport import MIN_SPEED, Connection
from appmetrica_frames.util.config import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def chunks(clock: ManualClock, count: int, *, size: int, every: float) -> Iterator[bytes]:
    for _ in range(count):
        clock.time += every
        yield b"x" * size


def connect(clock: ManualClock) -> Connection:
    return Connection("http://127.0.0.1:1", Secret("t"), network_timeout=TIMEOUT, clock=clock)


@pytest.mark.parametrize(("size", "every"), [(1, 1.0), (1, 59.0), (MIN_SPEED - 1, 1.0), (0, 0.5)])
def test_a_trickle_soon_becomes_an_error(size: int, every: float) -> None:
    clock = ManualClock()
    with connect(clock) as connection, pytest.raises(af.DownloadError, match="too slow"):
        list(connection.limit_slowness(chunks(clock, 10_000, size=size, every=every)))
    assert clock.time <= 2 * TIMEOUT


@pytest.mark.parametrize(("size", "every"), [(MIN_SPEED, 1.0), (MIN_SPEED * 50, 50.0), (1 << 20, 0.1)])
def test_a_slow_but_steady_server_is_read_to_the_end(size: int, every: float) -> None:
    clock = ManualClock()
    with connect(clock) as connection:
        assert sum(map(len, connection.limit_slowness(chunks(clock, 1000, size=size, every=every)))) == 1000 * size


def test_a_trickle_after_a_fast_start_becomes_an_error() -> None:
    clock = ManualClock()

    def fading() -> Iterator[bytes]:
        yield from chunks(clock, 100, size=1 << 20, every=1.0)
        yield from chunks(clock, 10_000, size=1, every=1.0)

    with connect(clock) as connection, pytest.raises(af.DownloadError, match="too slow"):
        list(connection.limit_slowness(fading()))
    assert clock.time <= 100 + 3 * TIMEOUT


def test_a_slow_reader_does_not_count() -> None:
    clock, size = ManualClock(), 0
    with connect(clock) as connection:
        for chunk in connection.limit_slowness(chunks(clock, 100, size=1, every=0.1)):
            clock.time += 600  # who decodes and writes
            size += len(chunk)
    assert size == 100


@pytest.mark.parametrize("stage", ["200", "503"])
def test_an_export_that_trickles_is_requested_again(stage: str, raw_server: Any) -> None:
    """Through the public interface: on the clock of this test, each piece of the first response takes half a minute."""
    body = gzip.compress(b"appmetrica_device_id,token\n1,a")
    clock = ManualClock()
    server = raw_server(lambda number, _: answer(stage if number == 1 else "200", body, chunked=number == 1))

    class Slow(ManualClock):
        """Half a minute passes between two readings of the clock while the first response is read."""

        def monotonic(self) -> float:
            clock.time += 31.0 if len(server.requests) == 1 else 0.0
            return clock.time

    request = build_options(
        "push_tokens",
        application_id=1,
        fields=["token", "appmetrica_device_id"],
        client=server.client(retries=1, network_timeout=60.0, poll=(0.0, 0.0)),
    )
    with open_exports(request, clock=Slow()) as exports:
        assert frames.read(exports)["token"].to_list() == ["a"]
    assert sum(b"/export/push_tokens" in sent for sent in server.requests) == 2
    assert clock.time < 20 * 60


def answer(status: str, body: bytes, *, chunked: bool) -> bytes:
    head = f"HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Encoding: gzip\r\n".encode()
    if not chunked:
        return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    pieces = (b"1\r\n%s\r\n" % body[place : place + 1] for place in range(len(body)))
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(pieces) + b"0\r\n\r\n"
