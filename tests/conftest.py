"""Fixtures for all tests: an isolated environment, emulators, clients, and a server of raw bytes."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from appmetrica_frames import Client, credentials
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine import zones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyring_backends import MemoryKeyring

sys.path.insert(0, str(Path(__file__).parent))  # for keyring_backends

# How long an example takes says nothing about it when tests run side by side.
settings.register_profile("side by side", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("side by side")

NOON = 1_722_340_800.0  # 2024-07-30 12:00:00 UTC


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the token, the server, the cache and the keyring of whoever runs the tests, and what other tests saw."""
    for name in ("APPMETRICA_TOKEN", "APPMETRICA_BASE_URL", "APPMETRICA_APPLICATION_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APPMETRICA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    zones._known_zones.clear()
    credentials.remembered_tokens.forget()


@pytest.fixture
def server() -> Iterator[Emulator]:
    with Emulator(rows_per_day=500, clock=MovableClock(start=NOON)) as emulator:
        yield emulator


@pytest.fixture
def client(server: Emulator) -> Client:
    return Client(server.token, base_url=server.base_url, poll=(0.01, 0.05), progress=False)


@pytest.fixture
def memory_keyring() -> Iterator[MemoryKeyring]:
    """Use a keyring in memory in place of this machine's."""
    keyring = pytest.importorskip("keyring")
    from keyring.backends.fail import Keyring
    from keyring_backends import MemoryKeyring

    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(Keyring())


class RawServer:
    """A server of raw bytes: it responds to each request with the bytes of a function, and closes the connection.

    After the response with the number `stall`, the connection stays open and silent instead.
    """

    def __init__(self, respond: Callable[[int, bytes], bytes], *, stall: int | None = None) -> None:
        self.requests: list[bytes] = []
        self.stalled = threading.Event()
        self._respond = respond
        self._stall = stall
        self._open: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="raw-server")
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def client(self, **settings: Any) -> Client:
        chosen = {"poll": (0.0, 0.0), "retries": 0, "network_timeout": 5.0, "progress": False, **settings}
        return Client("canary-token", base_url=self.base_url, **chosen)

    def close(self) -> None:
        # A last connection wakes the thread from accept().
        with suppress(OSError), socket.create_connection(self._socket.getsockname()[:2]) as last:
            last.sendall(b"stop")
        self._thread.join(10)
        for connection in (self._socket, *self._open):
            connection.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self._open.append(connection)
            request = connection.recv(65536)
            if request == b"stop":
                return
            self.requests.append(request)
            with suppress(OSError):
                connection.sendall(self._respond(len(self.requests), request))
            if len(self.requests) == self._stall:
                self.stalled.set()
            else:
                self._open.pop().close()


@pytest.fixture
def raw_server() -> Iterator[Callable[..., RawServer]]:
    """Start servers that respond with a function of the number of the request and the request."""
    with ExitStack() as running:

        def start(respond: Callable[[int, bytes], bytes], *, stall: int | None = None) -> RawServer:
            started = RawServer(respond, stall=stall)
            running.callback(started.close)
            return started

        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests of reliability tried: a row for each guarantee, over all tests and workers; then figures."""
    rows: dict[str, list[int]] = {}
    figures: dict[str, int] = {}
    for report in (one for reports in terminalreporter.stats.values() for one in reports):
        if getattr(report, "when", None) == "call":
            for guarantee, tries in (value for name, value in report.user_properties if name == "guarantee"):
                row = rows.setdefault(guarantee, [0, 0])
                row[0] += tries
                row[1] += report.failed
            for figure in (value for name, value in report.user_properties if name == "figures"):
                figures.update({name: figures.get(name, 0) + number for name, number in figure.items()})
    if rows:
        width = max(map(len, rows))
        terminalreporter.section("guarantees")
        terminalreporter.line(f"{'':{width}}  {'tries':>7}  failures")
        for guarantee, (tries, failures) in sorted(rows.items()):
            terminalreporter.line(f"{guarantee:{width}}  {tries:7,}  {failures:8,}", red=bool(failures))
    for name, number in figures.items():
        terminalreporter.line(f"{name}: {number:,}")
