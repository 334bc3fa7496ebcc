"""The application's time zone: asked for once a day, remembered in the cache, and never needed by a warm read."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

import appmetrica_frames as af
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.engine import zones
from appmetrica_frames.engine.call import open_exports
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.engine.zones import find_known_zone
from appmetrica_frames.integrations import polars
from appmetrica_frames.util.durations import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from appmetrica_frames.emulator import Emulator

MORNING = datetime(2024, 7, 30, 9, tzinfo=UTC).timestamp()
DAY_OF_MORNING = ("2024-07-30 00:00:00", "2024-07-30 23:59:59")


class StoppedClock:
    """A clock that shows one instant until it is moved; a pause on it is over at once."""

    def __init__(self, now: float) -> None:
        self.instant = now

    def now(self) -> float:
        return self.instant

    def monotonic(self) -> float:
        return self.instant

    def sleep(self, seconds: float) -> None:
        pass


class Management:
    """A server that gives the time zone of its one application, or fails, and a client of it."""

    def __init__(self, start_server: Callable[..., Any]) -> None:
        self.zone = "Europe/Moscow"
        self.failure = b""
        self.paths: list[str] = []
        self.clock = StoppedClock(MORNING)
        self.client: af.Client = start_server(self.respond).client(retries=3)

    def respond(self, _: int, request: bytes) -> bytes:
        self.paths.append(request.split()[1].decode())
        body = json.dumps({"application": {"id": 1, "time_zone_name": self.zone}}).encode()
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        return self.failure or head + body

    def dates(self, since: Any = "today", until: Any = "today", **parameters: Any) -> tuple[str, str]:
        """Return the dates that a call asks the server for."""
        given = {"application_id": 1, "client": self.client, "clock": self.clock, **parameters}
        built = build_options("events", date_since=since, date_until=until, **given)
        params = dict(built.request.params)
        return params["date_since"], params["date_until"]


def begin_another_process() -> None:
    zones._known_zones.clear()


@pytest.fixture
def management(raw_server: Callable[..., Any]) -> Management:
    return Management(raw_server)


def test_the_zone_is_asked_for_once_a_day(management: Management) -> None:
    for _ in range(3):
        assert management.dates() == DAY_OF_MORNING
        assert management.dates("2024-07-29T21:00Z", "2024-07-30T20:59:59Z") == DAY_OF_MORNING
        begin_another_process()
    assert management.paths == ["/management/v1/application/1"]


def test_a_process_without_the_cache_asks_once(management: Management) -> None:
    for _ in range(3):
        assert management.dates(cache=False) == DAY_OF_MORNING
    assert len(management.paths) == 1
    assert not af.Cache().directory.exists()


def test_without_the_cache_the_remembered_zone_is_not_read(management: Management) -> None:
    management.dates()
    begin_another_process()
    management.dates(cache=False)
    assert len(management.paths) == 2


@pytest.mark.parametrize("another_process", [False, True], ids=["same process", "another process"])
def test_a_change_is_noticed_after_a_day(management: Management, another_process: bool) -> None:  # noqa: FBT001
    midnight_in_tokyo = datetime(2024, 7, 30, 15, tzinfo=UTC).timestamp()
    assert management.dates("yesterday", "today") == ("2024-07-29 00:00:00", "2024-07-30 23:59:59")
    management.zone = "Asia/Tokyo"
    seen = []
    for instant in (midnight_in_tokyo, MORNING + DAY, midnight_in_tokyo + DAY):
        management.clock.instant = instant
        seen.append(management.dates()[0][:10])
        if another_process:
            begin_another_process()
    assert seen == ["2024-07-30", "2024-07-31", "2024-08-01"]
    assert len(management.paths) == 2


def test_at_midnight_in_the_applications_zone_the_day_changes(management: Management) -> None:
    midnight = datetime(2024, 7, 30, tzinfo=ZoneInfo("Europe/Moscow")).timestamp()
    management.clock.instant = midnight - 1
    assert management.dates()[0] == "2024-07-29 00:00:00"
    management.clock.instant = midnight
    assert management.dates() == DAY_OF_MORNING


@pytest.mark.parametrize("another_process", [False, True], ids=["same process", "another process"])
def test_offline_a_zone_of_any_age_will_do(management: Management, another_process: bool) -> None:  # noqa: FBT001
    management.dates()
    if another_process:
        begin_another_process()
    management.clock.instant += 400 * DAY
    assert management.dates("400daysAgo", "400daysAgo", offline=True) == DAY_OF_MORNING
    assert len(management.paths) == 1


@pytest.mark.parametrize("dates", [("7daysAgo", "yesterday"), ("2024-07-29T00:00Z", "2024-07-29T01:00Z")])
def test_offline_without_a_zone_is_an_error_that_says_what_to_do(
    management: Management, dates: tuple[str, str]
) -> None:
    with pytest.raises(af.NotCachedError, match="make the same call once without offline"):
        management.dates(*dates, offline=True)
    assert management.dates("2024-07-30", "2024-07-30", offline=True) == DAY_OF_MORNING
    assert management.paths == []


@pytest.mark.parametrize("zone", ["Europe", "Mars/Olympus", "../../etc/passwd", None, 10**6])
def test_a_remembered_zone_that_is_none_is_asked_for(management: Management, zone: Any) -> None:
    management.dates()
    begin_another_process()
    (memory,) = af.Cache().directory.rglob("time_zones.json")
    content = json.loads(memory.read_text())
    for applications in content.values():
        applications["1"]["time_zone"] = zone
    memory.write_text(json.dumps(content))
    with pytest.raises(af.NotCachedError):
        management.dates(offline=True)
    assert management.dates() == DAY_OF_MORNING
    assert len(management.paths) == 2


FAILURES = {
    "cut": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{",
    "broken": b"not HTTP",
    "server error": b"HTTP/1.1 503 Later\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "quota": b"HTTP/1.1 429 Later\r\nRetry-After: 60\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "no token": b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "no zone": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=list(FAILURES))
def test_a_failing_server_costs_one_request_a_day_and_no_read(management: Management, failure: bytes) -> None:
    management.dates()
    begin_another_process()
    management.failure = failure
    management.clock.instant += 3 * DAY
    for _ in range(3):
        assert management.dates("3daysAgo", "3daysAgo") == DAY_OF_MORNING
    assert len(management.paths) == 2
    management.clock.instant += 2 * DAY
    assert management.dates("5daysAgo", "5daysAgo") == DAY_OF_MORNING
    assert len(management.paths) == 3


def test_a_missing_token_costs_no_read_either(management: Management) -> None:
    management.dates()
    begin_another_process()
    management.clock.instant += 3 * DAY
    without_token = af.Client(base_url=management.client.base_url)
    assert management.dates("3daysAgo", "3daysAgo", client=without_token) == DAY_OF_MORNING


def test_an_unknown_zone_is_asked_for_with_patience(management: Management) -> None:
    management.failure = FAILURES["server error"]
    with pytest.raises(af.ServerError):
        management.dates()
    assert len(management.paths) == 1 + management.client.retries


def test_dates_without_a_zone_ask_nobody(management: Management) -> None:
    assert management.dates("2024-07-30", "2024-07-30") == DAY_OF_MORNING
    assert management.paths == []


def test_a_known_zone_is_found_without_asking(management: Management) -> None:
    settings = resolve_settings(management.client)
    assert find_known_zone(settings, 1, cache=True) is None
    management.dates()
    assert find_known_zone(settings, 1, cache=False) == ZoneInfo("Europe/Moscow")
    begin_another_process()
    assert find_known_zone(settings, 1, cache=True) == ZoneInfo("Europe/Moscow")
    assert find_known_zone(settings, 1, cache=False) is None
    assert find_known_zone(settings, 2, cache=True) is None
    assert len(management.paths) == 1


def test_what_another_process_saw_later_is_known_here(management: Management) -> None:
    settings = resolve_settings(management.client)
    management.dates()
    here = dict(zones._known_zones)
    begin_another_process()
    management.zone, management.clock.instant = "Asia/Tokyo", MORNING + 2 * DAY
    management.dates()
    zones._known_zones.update(here)
    assert find_known_zone(settings, 1, cache=True) == ZoneInfo("Asia/Tokyo")


def read_last_week(server: Emulator, client: af.Client, **parameters: Any) -> pl.DataFrame:
    clock = StoppedClock(server.clock.now())
    asked = {"application_id": server.application_id, "date_since": "7daysAgo", "date_until": "yesterday"}
    built = build_options("events", clock=clock, client=client, **asked, **parameters)
    with open_exports(built, clock=clock) as exports:
        return polars.read(exports)


def test_a_warm_read_of_relative_dates_makes_no_request(server: Emulator, client: af.Client) -> None:
    frame = read_last_week(server, client)
    assert frame.height > 0
    before = len(server.exchanges)
    begin_another_process()
    assert read_last_week(server, client).equals(frame)
    assert read_last_week(server, client, offline=True).equals(frame)
    assert len(server.exchanges) == before


READ = """
import appmetrica_frames as af
client = af.Client({token!r}, base_url={base_url!r}, poll=(0.01, 0.05), progress=False)
frame = af.read_appmetrica(
    "events", application_id={app}, client=client, offline={offline}, date_since="2024-07-28T21:00Z",
    date_until="2024-07-29T20:59:59Z"
)
print(*frame["event_datetime"].dt.date().unique())
"""


def read_in_another_process(server: Emulator, *, offline: bool) -> subprocess.CompletedProcess[str]:
    code = READ.format(token=server.token, base_url=server.base_url, app=server.application_id, offline=offline)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_second_process_reads_offline(server: Emulator) -> None:
    refused = read_in_another_process(server, offline=True)
    assert "NotCachedError: offline=True, and relative dates" in refused.stderr
    online = read_in_another_process(server, offline=False)
    before = len(server.exchanges)
    offline = read_in_another_process(server, offline=True)
    assert (offline.stdout, offline.stderr) == (online.stdout, online.stderr)
    assert offline.stdout == "2024-07-29\n"  # of the application
    assert len(server.exchanges) == before
