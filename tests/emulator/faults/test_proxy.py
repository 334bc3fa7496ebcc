"""The proxy: connections are relayed, kept and closed."""

from __future__ import annotations

import gc
import socket
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import httpx
import pytest

from appmetrica_frames.emulator import Emulator, MovableClock, faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import StartEmulator

    from appmetrica_frames.emulator.faults import Fault


STATUS = "/management/v1/logsapi/status"


SOCKET_TIMEOUT = 5.0


def test_a_connection_serves_one_request_after_another(start_emulator: StartEmulator) -> None:
    api = start_emulator(faults={1: faults.Answer(503)}, calls={3: faults.Frame("chunked")})
    connection = HTTPConnection("127.0.0.1", int(api.server.base_url.rpartition(":")[2]), timeout=SOCKET_TIMEOUT)
    connection.connect()
    connection.auto_open = 0
    with closing(connection):
        for address, status in ((STATUS, 200), ("/logs/v1/export/events.csv", 503), (STATUS, 200), (STATUS, 200)):
            connection.request("GET", address, headers={"Authorization": f"OAuth {api.server.token}"})
            response = connection.getresponse()
            response.read()
            assert response.status == status


def test_the_proxy_relays_large_files_unchanged(start_emulator: StartEmulator) -> None:
    api = start_emulator(rows_per_day=2_000, faults={})
    parameters = {"fields": "event_name,event_json,city,appmetrica_device_id", "date_since": "2026-11-01"}
    text = api.download(**parameters)
    assert len(text) > 1 << 20
    with httpx.Client(base_url=api.internal_url, headers=api.http.headers) as direct:
        assert direct.get("/logs/v1/export/events.csv", params=api.build_query(**parameters)).text == text


@pytest.mark.parametrize(
    "fault", [faults.Stall(), faults.Stall(3), faults.Delay(60), faults.Trickle(1), faults.Frame("chunked"), None]
)
def test_stopping_closes_connections_and_leaves_no_thread_or_listener(fault: Fault | None) -> None:
    before = threading.active_count()
    server = Emulator(rows_per_day=60, clock=MovableClock(start=1.8e9), faults={1: fault}).start()
    where = ("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    with closing(socket.create_connection(where, SOCKET_TIMEOUT)) as connection:
        connection.sendall(b"GET /logs/v1/export/events.csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: server.export_requests == 1)
        server.stop()
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
    assert threading.active_count() == before
    gc.collect()  # whatever was left open would warn now
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where, SOCKET_TIMEOUT)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOCKET_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_stopping_twice_and_without_a_request_is_fine() -> None:
    server = Emulator(faults={}).start()
    server.stop()
    server.stop()
