"""The Management API: applications, their time zones, and whether the Logs API is enabled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.emulator import Emulator, MovableClock
from appmetrica_frames.logs_api import management
from appmetrica_frames.logs_api.queue import find_queue_position, get_queue_position
from appmetrica_frames.logs_api.texts import MAX_JSON
from appmetrica_frames.progress import QueuePosition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

NOON = 1_722_340_800.0


def management_requests(server: Emulator) -> list[str]:
    return [exchange.path for exchange in server.exchanges if exchange.path.startswith("/management/")]


def get_time_zone(server: Any) -> tzinfo:
    client = server.client()
    with resolve_settings(client).connect() as connection:
        return management.get_time_zone(connection, resolve_settings(client).retry_policy(), 1)


def test_dates_with_a_time_zone_are_converted_to_that_of_the_application(server: Emulator, client: af.Client) -> None:
    parameters: dict[str, Any] = {
        "application_id": server.application_id,
        "date_since": datetime(2024, 7, 28, 21, tzinfo=UTC),
        "date_until": "2024-07-29T20:59:59Z",
        "fields": ["event_timestamp", "event_datetime"],
        "client": client,
    }
    frame = af.read_appmetrica("events", **parameters)
    query = dict(server.exchanges[-1].query)
    assert (query["date_since"], query["date_until"]) == ("2024-07-29 00:00:00", "2024-07-29 23:59:59")
    local = pl.col("event_timestamp").dt.convert_time_zone("Europe/Moscow").dt.replace_time_zone(None)
    assert frame.select((local == pl.col("event_datetime")).all()).item()

    af.read_appmetrica("events", **parameters)
    assert management_requests(server) == [f"/management/v1/application/{server.application_id}"]


def test_an_unknown_zone_name_falls_back_on_the_offset(raw_server: Any) -> None:
    body = b'{"application": {"id": 1, "time_zone_name": "Mars/Olympus", "time_zone_offset": 7200}}'
    server = raw_server(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    zone = get_time_zone(server)
    assert datetime(2024, 7, 1, tzinfo=UTC).astimezone(zone).hour == 2


@pytest.mark.parametrize("body", [b"{}", b"[]", b"no JSON", b'{"application": {"time_zone_name": null}}'])
def test_an_answer_without_a_zone_is_a_decode_error(body: bytes, raw_server: Any) -> None:
    server = raw_server(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    with pytest.raises(af.DecodeError, match="/management/v1/application/1"):
        get_time_zone(server)


def test_offline_requests_no_time_zone(server: Emulator, client: af.Client) -> None:
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
def test_a_timeout_mentions_a_disabled_server_and_what_helps(disabled: Emulator, skip: bool) -> None:  # noqa: FBT001
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
    assert len(management_requests(disabled)) == (0 if skip else 1)


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
def test_find_queue_position(listed: Any, expected: QueuePosition | None) -> None:
    assert find_queue_position(listed, QUERY) == expected


def json_response(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


APPLICATIONS = b'{"applications": [{"id": 1, "name": "App"}]}'


@pytest.mark.parametrize("trouble", ["500 Error", "503 Error", "429 Too Many Requests", "420 Enhance Your Calm", "cut"])
def test_a_list_that_fails_once_is_requested_again(trouble: str, raw_server: Any) -> None:
    whole = json_response("200 OK", APPLICATIONS)
    first = whole[:-3] if trouble == "cut" else json_response(trouble, b"later", "Retry-After: 0")
    server = raw_server(lambda number, _: first if number == 1 else whole)
    assert [application["name"] for application in list_applications(server, retries=1)] == ["App"]
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        ("500 Error", af.ServerError, 3),
        ("401 Unauthorized", af.AuthenticationError, 1),
        ("404 Not Found", af.RequestRejectedError, 1),
        ("202 Accepted", af.RequestRejectedError, 1),
        ("429 Too Many Requests", af.QuotaExceededError, 1),
    ],
)
def test_a_list_that_keeps_failing_is_a_typed_error(
    status: str, error: type[Exception], requests: int, raw_server: Any
) -> None:
    server = raw_server(lambda *_: json_response(status, b"no luck", "Retry-After: 100000"))
    with pytest.raises(error, match="no luck"):
        list_applications(server, retries=2)
    assert len(server.requests) == requests


def test_a_document_that_is_too_long_is_a_decode_error(raw_server: Any) -> None:
    server = raw_server(lambda *_: json_response("200 OK", b"[" + b" " * MAX_JSON + b"]"))
    with pytest.raises(af.DecodeError, match="more than 4 MiB"):
        list_applications(server)


@pytest.mark.parametrize(
    "answer",
    [
        json_response("500 Error", b""),
        json_response("429 Too Many Requests", b"", "Retry-After: 60"),
        json_response("200 OK", b"no JSON"),
        json_response("200 OK", b"[1]"),
        json_response("200 OK", b"{")[:-1],
        b"not HTTP",
    ],
)
def test_a_hint_takes_one_request_and_never_fails(answer: bytes, raw_server: Any) -> None:
    server = raw_server(lambda *_: answer)
    with resolve_settings(server.client(retries=3)).connect() as connection:
        assert management.is_logs_api_enabled(connection)
        assert get_queue_position(connection, 1, QUERY) is None
    assert len(server.requests) == 2


def list_applications(server: Any, **settings: Any) -> list[dict[str, Any]]:
    client = server.client(**settings)
    with resolve_settings(client).connect(InstantClock()) as connection:
        return management.list_applications(connection, resolve_settings(client).retry_policy())


class InstantClock:
    """A clock on which no time passes."""

    def now(self) -> float:
        return NOON

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        pass
