"""A server that cannot be reached: named with its address, and said while it is tried again."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any

import httpcore
import pytest

import appmetrica_frames as af
from appmetrica_frames.logs_api.driver import run_export
from appmetrica_frames.logs_api.management import list_applications
from appmetrica_frames.logs_api.network import SLOW_CONNECT, MeteredBackend
from appmetrica_frames.logs_api.retry import RetryPolicy
from appmetrica_frames.logs_api.transport import Connection
from appmetrica_frames.progress import NullReporter
from appmetrica_frames.request.export import ExportRequest
from appmetrica_frames.util.config import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = ExportRequest(resource="push_tokens", params=(("application_id", "1"),), fields=("token", "city"))
SAID_WITHIN = 5.0  # seconds


class ManualClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return 1_722_340_800.0 + self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Screen(NullReporter):
    """Keeps the messages, with the time of each."""

    def __init__(self, clock: ManualClock, *, is_visible: bool) -> None:
        self.is_visible = is_visible
        self.messages: list[tuple[float, str]] = []
        self._clock = clock

    def message(self, text: str) -> None:
        self.messages.append((self._clock.time, text))


@pytest.fixture
def origin() -> Iterator[str]:
    """Return an address of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def _fetch(origin: str, clock: ManualClock, screen: Screen, *, retries: int) -> None:
    with Connection(origin, Secret("token"), network_timeout=1.0, clock=clock) as connection:
        run_export(
            REQUEST,
            None,
            lambda *_: True,
            connection=connection,
            retry_policy=RetryPolicy(retries=retries),
            clock=clock,
            reporter=screen,
        )


def test_the_error_names_the_address(origin: str) -> None:
    client = af.Client("token", base_url=origin, retries=0, progress=False)
    with pytest.raises(af.DownloadError, match=rf"^{origin} cannot be reached: .* Check the network and this address"):
        af.read_appmetrica("push_tokens", application_id=1, client=client)


def test_a_connection_that_breaks_is_named_with_its_address(raw_server: Any) -> None:
    server = raw_server(lambda _number, _request: b"")
    with pytest.raises(af.DownloadError, match=rf"^The connection to {server.base_url} broke before it answered"):
        af.read_appmetrica("push_tokens", application_id=1, client=server.client())


@pytest.mark.parametrize("is_visible", [True, False])
def test_it_is_said_once_and_soon_while_tries_go_on(
    origin: str,
    is_visible: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    screen = Screen(clock, is_visible=is_visible)
    caplog.set_level(logging.WARNING, "appmetrica_frames")
    with pytest.raises(af.DownloadError):
        _fetch(origin, clock, screen, retries=5)
    [(said_at, text)] = screen.messages
    assert said_at <= SAID_WITHIN < clock.time
    assert text.startswith(f"trying again (try 3 of 6): {origin} cannot be reached")
    logged = [] if is_visible else [f"push_tokens of 1: {text}"]  # else a terminal would show it twice
    assert caplog.messages == logged


def test_a_single_failure_passes_without_a_word(origin: str) -> None:
    clock = ManualClock()
    screen = Screen(clock, is_visible=True)
    with pytest.raises(af.DownloadError):
        _fetch(origin, clock, screen, retries=1)
    assert screen.messages == []


def test_requests_to_the_management_api_say_it_as_well(origin: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    with (
        Connection(origin, Secret("token"), network_timeout=1.0, clock=clock) as connection,
        pytest.raises(af.DownloadError),
    ):
        list_applications(connection, RetryPolicy(retries=3))
    assert [text.partition(" cannot")[0] for text in caplog.messages] == [f"trying again (try 3 of 4): {origin}"]


class SilentHost(httpcore.MockBackend):
    """A host that accepts a connection at its last try only."""

    def __init__(self, refusals: int) -> None:
        super().__init__([])
        self.timeouts: list[float | None] = []
        self._refusals = refusals

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *rest: Any, **more: Any) -> Any:
        self.timeouts.append(timeout)
        if len(self.timeouts) <= self._refusals:
            raise httpcore.ConnectTimeout("timed out")
        return super().connect_tcp(host, port, timeout, *rest, **more)


@pytest.mark.parametrize(
    ("refusals", "timeout", "tried", "said"),
    [
        (0, 60.0, [SLOW_CONNECT], 0),
        (1, 60.0, [SLOW_CONNECT, 60.0 - SLOW_CONNECT], 1),
        (1, None, [SLOW_CONNECT, None], 1),
        (0, 1.0, [1.0], 0),
    ],
)
def test_a_host_that_does_not_answer_is_told_of_within_the_same_timeout(
    refusals: int, timeout: float | None, tried: list[float | None], said: int
) -> None:
    told: list[str] = []
    host = SilentHost(refusals)
    backend = MeteredBackend(ManualClock(), 60.0, on_slow_connect=lambda: told.append("slow"), backend=host)
    backend.connect_tcp("example.org", 443, timeout)
    assert host.timeouts == tried
    assert len(told) == said
    assert 2 * SLOW_CONNECT < SAID_WITHIN  # a host may have an address of either kind


def test_a_host_that_never_answers_times_out() -> None:
    with pytest.raises(httpcore.ConnectTimeout):
        MeteredBackend(ManualClock(), 60.0, backend=SilentHost(2)).connect_tcp("example.org", 443, 60.0)


def test_a_connection_that_nobody_wants_any_more_is_not_tried_again() -> None:
    host = SilentHost(2)
    backend = MeteredBackend(ManualClock(), 60.0, on_slow_connect=lambda: backend.abort(), backend=host)  # noqa: PLW0108
    with pytest.raises(httpcore.ConnectError):
        backend.connect_tcp("example.org", 443, 60.0)
    assert len(host.timeouts) == 1
