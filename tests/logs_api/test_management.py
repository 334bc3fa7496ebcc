"""The Management API: time zones of applications, their list, and what it says of a server that does not export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.engine import options
from appmetrica_frames.logs_api import management
from appmetrica_frames.logs_api.queue import QueuePosition, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_722_340_800.0


@pytest.fixture(autouse=True)
def _forget_time_zones() -> None:
    options._TIME_ZONES.clear()


def time_zone(server: Any) -> Any:
    settings = resolve_settings(server.client())
    with settings.connect() as connection:
        return management.get_time_zone(connection, settings.retry_policy(), 1)


def questions(server: Emulator) -> list[str]:
    return [exchange.path for exchange in server.exchanges if exchange.path.startswith("/management/")]


def test_dates_with_a_time_zone_are_taken_to_the_applications_own(server: Emulator, client: af.Client) -> None:
    words: dict[str, Any] = {
        "application_id": server.application_id,
        "date_since": datetime(2024, 7, 28, 21, tzinfo=UTC),
        "date_until": "2024-07-29T20:59:59Z",
        "fields": ["event_timestamp", "event_datetime"],
        "client": client,
    }
    frame = af.read_appmetrica("events", **words)
    asked = dict(server.exchanges[-1].query)
    assert (asked["date_since"], asked["date_until"]) == ("2024-07-29 00:00:00", "2024-07-29 23:59:59")
    local = pl.col("event_timestamp").dt.convert_time_zone("Europe/Moscow").dt.replace_time_zone(None)
    assert frame.select((local == pl.col("event_datetime")).all()).item()

    af.read_appmetrica("events", **words)
    assert questions(server) == [f"/management/v1/application/{server.application_id}"]


def test_an_application_without_a_known_zone_name_has_an_offset(raw_server: Any) -> None:
    told = b'{"application": {"id": 1, "time_zone_name": "Mars/Olympus", "time_zone_offset": 7200}}'
    server = raw_server(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
    zone = time_zone(server)
    assert datetime(2024, 7, 1, tzinfo=UTC).astimezone(zone).hour == 2


@pytest.mark.parametrize("told", [b"{}", b"[]", b"no JSON", b'{"application": {"time_zone_name": null}}'])
def test_an_answer_without_a_zone_is_a_typed_error(told: bytes, raw_server: Any) -> None:
    server = raw_server(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told))
    with pytest.raises(af.DecodeError, match="/management/v1/application/1"):
        time_zone(server)


def test_offline_asks_no_time_zone(server: Emulator, client: af.Client) -> None:
    with pytest.raises(af.NotCachedError, match="without one"):
        af.read_appmetrica(
            "events",
            application_id=server.application_id,
            date_since="2024-07-29T00:00Z",
            date_until="2024-07-29T01:00Z",
            offline=True,
            client=client,
        )
    assert len(server.exchanges) == 0


def test_applications_are_a_frame(server: Emulator, client: af.Client) -> None:
    frame = client.applications()
    assert frame.schema == {
        "application_id": pl.UInt64,
        "name": pl.String,
        "time_zone_name": pl.String,
        "time_zone_offset": pl.Int64,
    }
    assert frame["application_id"].to_list() == [server.application_id, server.other_application_id]
    assert "Europe/Moscow" in frame["time_zone_name"].to_list()


@pytest.fixture
def disabled() -> Iterator[Emulator]:
    with Emulator(rows_per_day=100, preparation=3600, clock=MovableClock(start=NOON)) as emulator:
        emulator.logs_api_enabled = False
        yield emulator


@pytest.mark.parametrize("skip", [False, True])
def test_a_disabled_server_is_told_of_with_what_helps(disabled: Emulator, skip: bool) -> None:  # noqa: FBT001
    client = af.Client(
        disabled.token, base_url=disabled.base_url, poll=(0.01, 0.01), prepare_timeout=0.05, progress=False
    )
    with pytest.raises(af.PreparationTimeoutError) as caught:
        af.read_appmetrica(
            "push_tokens",
            application_id=disabled.application_id,
            skip_unavailable_shards=skip,
            client=client,
        )
    assert ("skip_unavailable_shards=True" in str(caught.value)) is not skip
    assert len(questions(disabled)) == (0 if skip else 1)


JOB = {
    "application_id": 1,
    "create_time": "2024-07-30 12:00:00",
    "query": "application_id=1&fields=a%2Cb",
    "request_id": "7",
    "status": 0,
    "total_progress": 0.125275,
}
QUERY = (("fields", "a,b"), ("application_id", "1"))
OTHER = {**JOB, "query": "application_id=1&fields=c", "create_time": "2024-07-30 11:00:00", "request_id": "6"}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([JOB], QueuePosition(0, 0.125275)),
        ([JOB, OTHER], QueuePosition(1, 0.125275)),
        ([{**JOB, "total_progress": 7}], QueuePosition(0, 1.0)),
        ([OTHER], None),
        ([], None),
        ({}, None),
        (None, None),
        ([{}], None),
        ([{**JOB, "total_progress": "soon"}], None),
        ("text", None),
    ],
)
def test_the_place_in_the_queue(listed: Any, expected: QueuePosition | None) -> None:
    assert standing(listed, QUERY) == expected
