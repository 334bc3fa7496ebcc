"""Emulators whose clock stands still, and a plain HTTP client for them."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from appmetrica_frames.emulator import Emulator, MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

StartEmulator: TypeAlias = "Callable[..., ApiClient]"

# 2026-11-18 15:06:40 UTC, a Wednesday.
NOW = 1_795_014_400.0
POLLS = 4_000
SOCKET_TIMEOUT = 5.0
EVENTS = b'city,age\n"Minsk, old",3\nOmsk,\n"a ""b""\nc",5'


class ApiClient:
    """A plain HTTP client; every poll is a real round trip, and their number is limited."""

    def __init__(self, server: Emulator) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.base_url, headers={"Authorization": f"OAuth {server.token}"})

    def close(self) -> None:
        self.http.close()

    def build_query(self, **parameters: object) -> dict[str, str]:
        defaults = {
            "application_id": self.server.application_id,
            "fields": "event_name,event_datetime",
            "date_since": "2026-11-10",
            "date_until": "2026-11-10",
        }
        return {name: str(value) for name, value in (defaults | parameters).items() if value is not None}

    def get(
        self, export: str = "events.csv", headers: dict[str, str] | None = None, **parameters: object
    ) -> httpx.Response:
        return self.http.get(f"/logs/v1/export/{export}", params=self.build_query(**parameters), headers=headers)

    def poll(
        self, export: str = "events.csv", headers: dict[str, str] | None = None, **parameters: object
    ) -> httpx.Response:
        """Send the request until the status is not 202."""
        for _ in range(POLLS):
            response = self.get(export, headers, **parameters)
            if response.status_code != 202:
                return response
        raise AssertionError(f"still 202 after {POLLS} polls")

    def download(self, export: str = "events.csv", **parameters: object) -> str:
        response = self.poll(export, **parameters)
        assert response.status_code == 200, response.text
        return response.text

    @property
    def internal_url(self) -> str:
        """Where the emulator itself listens, behind its proxy."""
        assert self.server._proxy is not None
        return "http://{}:{}".format(*self.server._proxy._address)

    def connect(self, url: str | None = None, *, coding: str = "gzip") -> socket.socket:
        """Request a file over a new connection, and leave the response unread."""
        parts = urlsplit(url or self.server.base_url)
        connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=SOCKET_TIMEOUT)
        lines = [
            f"GET /logs/v1/export/events.csv?{urlencode(self.build_query())} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Authorization: OAuth {self.server.token}",
            f"Accept-Encoding: {coding}",
            "Connection: close",
        ]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return connection

    def read_wire(self, url: str | None = None, *, coding: str = "gzip") -> tuple[bytes, bytes]:
        """Return the head of the response, without its date, and everything after it."""
        with self.connect(url, coding=coding) as connection:
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        return re.sub(rb"\r\ndate: [^\r]+", b"", head), body

    def list_jobs(self, application_id: int | None = None) -> list[dict[str, object]]:
        parameters = {"application_id": str(application_id or self.server.application_id)}
        queries: list[dict[str, object]] = self.http.get("/logs/v1/export/get_active_queries", params=parameters).json()
        return queries


@contextmanager
def run_emulator(**options: Any) -> Iterator[ApiClient]:
    """Run an emulator; by default its clock stands still and its population is small."""
    chosen: dict[str, Any] = {"rows_per_day": 60, "clock": MovableClock(start=NOW)} | options
    with Emulator(**chosen) as server, closing(ApiClient(server)) as api:
        yield api


@pytest.fixture
def start_emulator() -> Iterator[StartEmulator]:
    """Start emulators with options; all of them stop at the end of the test."""
    with ExitStack() as running:
        yield lambda **options: running.enter_context(run_emulator(**options))


@pytest.fixture
def api(start_emulator: StartEmulator) -> ApiClient:
    """Return a client of an emulator that prepares files as fast as it can."""
    return start_emulator()


@pytest.fixture
def slow_api(start_emulator: StartEmulator) -> ApiClient:
    """Return a client of an emulator that takes 100 seconds of its clock for each file."""
    return start_emulator(preparation=100.0)


@pytest.fixture(scope="session")
def shared_api() -> Iterator[ApiClient]:
    """Share an emulator between tests that neither change it nor count its work."""
    with run_emulator(rows_per_day=300) as api:
        yield api


@pytest.fixture(scope="session")
def shared_faulty_api() -> Iterator[ApiClient]:
    with run_emulator(faults={}) as api:
        api.server.answers["events"] = EVENTS
        api.download()
        yield api


@pytest.fixture
def faulty_api(shared_faulty_api: ApiClient) -> ApiClient:
    """Return a client of an emulator that has `EVENTS` ready, without faults so far and with counts at zero."""
    shared_faulty_api.server.clear_faults()
    return shared_faulty_api
