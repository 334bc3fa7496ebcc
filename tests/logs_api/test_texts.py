"""Texts from outside: read within limits, and never an error of another kind than ours."""

from __future__ import annotations

import gzip
import json
import sys
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import appmetrica_frames as af
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.logs_api import management
from appmetrica_frames.logs_api.protocol import parse_progress
from appmetrica_frames.logs_api.queue import find_queue_position, get_queue_position
from appmetrica_frames.logs_api.responses import error_from_response, error_message
from appmetrica_frames.logs_api.retry import RetryBudget, RetryPolicy, retry_after
from appmetrica_frames.logs_api.steps import Response
from appmetrica_frames.logs_api.texts import MAX_JSON, MAX_TEXT, decode_text, parse_json, read_raw

DEEP = "[" * 100_000
DEEP_OBJECTS = '{"message": ' * 100_000
HUGE_NUMBER = '{"message": ' + "9" * 10_000 + "}"
BOMB = gzip.compress(gzip.compress(bytes(1 << 30)))
MIB = 1 << 20


def response(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


def export(server: Any, **settings: Any) -> None:
    client = server.client(prepare_timeout=0.05, poll=(0.01, 0.01), **settings)
    af.read_appmetrica("push_tokens", application_id=1, fields=["token", "city"], client=client)


def test_reading_stops_at_the_limit() -> None:
    taken = []

    def endless() -> Any:
        while True:
            taken.append(1)
            yield bytes(1000)

    assert len(read_raw(endless(), 10_500)) == 10_500
    assert len(taken) == 11


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "x-gzip"])
def test_a_text_is_read_plain_or_as_gzip(encoding: str) -> None:
    for raw in (b"caf\xc3\xa9", gzip.compress(b"caf\xc3\xa9")):
        assert decode_text(raw, encoding, 100) == "café"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,identity", "br", "deflate", "zstd", "x" * 10_000])
def test_other_encodings_are_not_read(encoding: str) -> None:
    text = decode_text(BOMB, encoding, MAX_TEXT)
    assert "was not requested" in text
    assert len(text) < 200


def test_decompression_stops_at_the_limit() -> None:
    raw = gzip.compress(bytes(64 * MIB))
    tracemalloc.start()
    assert len(decode_text(raw, "gzip", MAX_TEXT)) == MAX_TEXT
    assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    tracemalloc.stop()


@pytest.mark.parametrize("cut", [1, 5, 15])
def test_a_damaged_text_ends_where_the_damage_begins(cut: int) -> None:
    raw = gzip.compress(b"first") + gzip.compress(b"second")[:-cut]
    assert decode_text(raw, "gzip", 100).startswith("first")


@given(st.binary(max_size=200), st.sampled_from(["", "gzip", "gzip, gzip"]))
def test_any_bytes_are_a_text(raw: bytes, encoding: str) -> None:
    assert isinstance(decode_text(b"\x1f\x8b" + raw, encoding, 50), str)
    assert isinstance(decode_text(raw, encoding, 50), str)


@pytest.mark.parametrize("text", [DEEP, DEEP_OBJECTS, HUGE_NUMBER, "", "{", '{"a": 1} x'])
def test_json_that_cannot_be_read_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are those of json
        parse_json(text)


@pytest.mark.parametrize(
    "body",
    [DEEP, DEEP_OBJECTS, HUGE_NUMBER, '{"message": 1e999}', '{"message": [[1]]}', '{"errors": [1, null, {}]}', "null"],
)
@pytest.mark.parametrize("status", [400, 401, 404, 429, 503])
def test_an_error_body_of_odd_json_is_the_error_of_its_status(status: int, body: str) -> None:
    error = error_from_response(Response(status, {}, body, 0.0, 0.0))
    assert error.status == status
    assert len(str(error)) < 1000


@given(st.text(max_size=300))
def test_any_text_has_a_message(text: str) -> None:
    assert len(error_message(text)) < 600


def test_a_message_can_be_encoded() -> None:
    error_message('{"message": "half of a pair: \\ud83d"}').encode()


@pytest.mark.parametrize(
    "body", ["<html>" + "<title " * 9000, "<html>" + "<title>" * 9000, "undefined parameter " * 3000, "\\" * MAX_TEXT]
)
def test_messages_are_found_in_linear_time(body: str) -> None:
    error = error_from_response(Response(400, {}, body[:MAX_TEXT], 0.0, 0.0))
    assert isinstance(error, af.RequestRejectedError)


@pytest.mark.parametrize("body", [b"Wait for result", DEEP.encode(), BOMB])
def test_a_503_with_an_odd_body_is_tried_again(body: bytes, raw_server: Any) -> None:
    server = raw_server(lambda *_: response("503 Busy", body, "Content-Encoding: gzip, gzip"))
    with pytest.raises(af.ServerError):
        export(server, retries=1)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", ["202 Accepted", "400 Bad Request", "503 Busy"])
@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_bomb_takes_no_memory(status: str, encoding: str, raw_server: Any) -> None:
    body = gzip.compress(bytes(256 * MIB)) if encoding == "gzip" else BOMB
    server = raw_server(lambda *_: response(status, body, f"Content-Encoding: {encoding}"))
    tracemalloc.start()
    with pytest.raises(af.AppMetricaError):
        export(server)
    with resolve_settings(server.client()).connect() as connection:
        assert get_queue_position(connection, 1, ()) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MIB


def test_a_bomb_of_json_is_a_decode_error(raw_server: Any) -> None:
    body = gzip.compress(b"[" + b" " * (256 * MIB) + b"]")
    server = raw_server(lambda *_: response("200 OK", body, "Content-Encoding: gzip"))
    tracemalloc.start()
    with (
        resolve_settings(server.client()).connect() as connection,
        pytest.raises(af.DecodeError, match="more than 4 MiB"),
    ):
        connection.get_json("/")
    assert tracemalloc.get_traced_memory()[1] < 8 * MAX_JSON
    tracemalloc.stop()


DATES = st.from_regex(
    r"\A[A-Za-z]{0,4},? ?-?\d{0,4} ?(Jan|Feb|Xyz)? ?-?\d{0,22} ?\d{0,3}:\d{0,3}(:\d{0,25})? ?[+-]?\d{0,25}\Z"
)


@pytest.mark.parametrize(
    "text",
    [
        "Jan 0001 1:1 - 99999999999999999999",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "9" * 5000,
        "²",
        "١٢",
        "1e5",
        "nan",
    ],
)
def test_an_odd_retry_after_is_a_number_or_absent(text: str) -> None:
    seconds = retry_after({"retry-after": text}, 1_700_000_000.0)
    assert seconds is None or seconds >= 0


@given(st.one_of(st.text(max_size=60), DATES))
def test_any_retry_after_is_a_number_or_absent(text: str) -> None:
    seconds = retry_after({"retry-after": text}, 1_700_000_000.0)
    assert seconds is None or seconds >= 0


def test_a_retry_after_of_none_is_no_busy_loop() -> None:
    budget = RetryBudget(RetryPolicy(), lambda: 1.0)
    assert budget.after_quota(Response(429, {"retry-after": "0"}, "", 0.0, 0.0), 0.0) == 1.0


@pytest.mark.parametrize("text", ["Progress is " + "9" * 5000 + "%", "Progress is ٣٥%", "Progress is 1" + " " * 60_000])
def test_an_odd_progress_is_a_fraction_or_absent(text: str) -> None:
    fraction = parse_progress(text)
    assert fraction is None or 0 <= fraction <= 1


JOB = {"create_time": "2024-07-30 12:00:00", "query": "application_id=1", "request_id": "7", "total_progress": 0.5}
QUERY = (("application_id", "1"),)
ODD_ENTRIES: list[Any] = [
    None,
    1,
    "text",
    [],
    {},
    [[]],
    {**JOB, "query": 1},
    {**JOB, "query": ["a=1"]},
    {**JOB, "query": None},
    {**JOB, "request_id": float("inf")},
    {**JOB, "request_id": float("nan")},
    {**JOB, "request_id": "9" * 5000},
    {**JOB, "request_id": []},
    {**JOB, "create_time": 5},
    {**JOB, "create_time": {}},
    {**JOB, "query": "&".join(["a=1"] * 10_000)},
]


@pytest.mark.parametrize("entry", ODD_ENTRIES, ids=lambda entry: str(entry)[:60])
def test_an_odd_entry_of_the_queue_is_as_if_it_were_absent(entry: Any) -> None:
    assert find_queue_position([entry], QUERY) is None
    position = find_queue_position([entry, JOB, entry], QUERY)
    assert position is not None
    assert position.fraction == 0.5


@pytest.mark.parametrize("progress", [None, "soon", [], float("nan"), float("inf"), 10**400, "9" * 5000])
def test_an_odd_progress_in_the_queue_is_absent(progress: Any) -> None:
    assert find_queue_position([{**JOB, "total_progress": progress}], QUERY) is None


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*JOB, "id", "name", "time_zone_name", "time_zone_offset"]), inner, max_size=5),
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_queue_is_a_position_or_none(listing: Any) -> None:
    find_queue_position(listing, QUERY)


@pytest.mark.parametrize(
    "applications",
    [
        None,
        1,
        "text",
        {"id": 1},
        [1],
        [None],
        [[]],
        [{}],
        [{"id": None}],
        [{"id": -1}],
        [{"id": 2**64}],
        [{"id": True}],
        [{"id": "x"}],
        [{"id": float("inf")}],
    ],
    ids=str,
)
def test_a_malformed_list_of_applications_is_a_decode_error(applications: Any, raw_server: Any) -> None:
    body = json.dumps({"applications": applications}).encode()
    server = raw_server(lambda *_: response("200 OK", body))
    with pytest.raises(af.DecodeError, match="list of applications"):
        server.client().applications()


@pytest.mark.parametrize(
    "fields",
    [
        {"name": 5},
        {"name": "half of a pair: \ud83d"},
        {"time_zone_name": ["Europe"]},
        {"time_zone_offset": "soon"},
        {"time_zone_offset": float("inf")},
        {"time_zone_offset": 10**30},
        {"unknown": [[]]},
    ],
    ids=str,
)
def test_an_odd_detail_of_an_application_is_absent(fields: dict[str, Any], raw_server: Any) -> None:
    body = json.dumps({"applications": [{"id": 2**63 + 1, **fields}]}).encode()
    frame = raw_server(lambda *_: response("200 OK", body)).client().applications()
    assert frame["application_id"].to_list() == [2**63 + 1]


@given(JSON)
def test_any_application_has_a_zone_or_is_a_decode_error(application: Any) -> None:
    with suppress(af.DecodeError):
        management._parse_time_zone(application, "/path")


@pytest.mark.parametrize("name", ["Europe", "..", "/etc/passwd", "", "\0", "x" * 5000, "Europe/\ud83d"])
def test_a_name_that_is_not_a_zone_falls_back_on_the_offset(name: str, raw_server: Any) -> None:
    body = json.dumps({"application": {"time_zone_name": name, "time_zone_offset": 7200}}).encode()
    server = raw_server(lambda *_: response("200 OK", body))
    client = server.client()
    with resolve_settings(client).connect() as connection:
        zone = management.get_time_zone(connection, resolve_settings(client).retry_policy(), 1)
    assert zone.utcoffset(None) is not None


@pytest.mark.parametrize("length", ["x", "-1", "", "1, 2", "9" * 5000, "9" * 20, "٣"])
def test_a_bad_content_length_is_a_download_error(length: str, raw_server: Any) -> None:
    body = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\ncity,token\n".encode()
    with pytest.raises(af.DownloadError):
        export(raw_server(lambda *_: body))


def test_parsing_json_does_not_depend_on_the_recursion_limit() -> None:
    limit = sys.getrecursionlimit()
    assert parse_json("[" * (limit // 20) + "]" * (limit // 20)) is not None
