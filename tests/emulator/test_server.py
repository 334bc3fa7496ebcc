"""`Emulator`: starting, stopping, and its log of exchanges."""

from __future__ import annotations

import tempfile
import threading
from typing import TYPE_CHECKING

import pytest

from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.emulator.command import format_greeting
from appmetrica_frames.schema.catalog import resources

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import ApiClient, StartEmulator


def test_exchanges_are_recorded(api: ApiClient) -> None:
    api.get(headers={"Cache-Control": "no-cache"})
    api.poll()
    first, *_, last = api.server.exchanges
    assert (first.number, first.method, first.path) == (1, "GET", "/logs/v1/export/events.csv")
    assert ("date_since", "2026-11-10") in first.query
    assert first.headers["cache-control"] == "no-cache"
    assert (first.status, first.text, last.status, last.text) == (202, "Wait for result", 200, "")
    assert api.server.downloads == 1


def test_stopping_leaves_no_thread_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_emulator: StartEmulator
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = threading.active_count()
    api = start_emulator(rows_per_day=4_000)
    big = api.download(fields=",".join(resources()["events"].fields), date_since="2026-10-20")
    assert len(big) > 30 << 20
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".gz"]
    api.http.close()
    api.server.stop()
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def test_stopping_does_not_wait_for_a_build(start_emulator: StartEmulator) -> None:
    api = start_emulator(rows_per_day=200_000)
    api.get(date_since="2025-01-01")
    api.server.stop()
    assert api.server.preparations == 0


def test_a_busy_port_is_an_error_and_leaves_nothing_open(shared_api: ApiClient) -> None:
    port = int(shared_api.server.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Emulator(port=port).start()


def test_the_clock_runs_unless_it_has_a_start() -> None:
    frozen, running = MovableClock(start=5.0), MovableClock()
    frozen.advance(2)
    assert (frozen.now(), frozen.now()) == (7.0, 7.0)
    before = running.now()
    running.advance(100)
    assert running.now() >= before + 100


def test_the_greeting_shows_how_to_send_a_request(shared_api: ApiClient) -> None:
    text = format_greeting(shared_api.server)
    assert shared_api.server.base_url in text
    assert "curl" in text
