"""How often the windows of a call ask the server."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine.pace import SECONDS_BETWEEN_CHECKS, RequestPace, StatusChecks
from appmetrica_frames.logs_api.management import STATUS_PATH

from .conftest import NOON, Reader

if TYPE_CHECKING:
    from pathlib import Path


def test_no_second_has_more_requests_than_the_limit() -> None:
    pace, now = RequestPace(limit=3), 100.0
    instants = [now + pace.reserve(now) for now in (now, now, now + 0.5, now + 0.9, now + 0.9, now + 0.9, now + 5)]
    assert instants == [100.0, 100.0, 100.5, 101.0, 101.0, 101.5, 105.0]
    assert all(later - earlier >= 1.0 for earlier, later in zip(instants, instants[3:], strict=False))
    assert all(later >= earlier for earlier, later in pairwise(instants))


def test_a_check_is_due_now_and_then() -> None:
    checks = StatusChecks()
    assert [checks.is_due(at) for at in (0.0, 1.0, SECONDS_BETWEEN_CHECKS, SECONDS_BETWEEN_CHECKS + 1)] == [
        True,
        False,
        True,
        False,
    ]


def test_the_windows_of_a_range_ask_once_together_whether_exports_work(tmp_path: Path) -> None:
    with Emulator(rows_per_day=40, clock=MovableClock(start=NOON), preparation=60.0) as server:
        Reader(server, tmp_path / "cache").read(date_since="2024-07-01", date_until="2024-07-04")
        assert server.preparations == 4
        assert sum(one.path == STATUS_PATH for one in server.exchanges) == 1
