"""Every fault as a plain client sees it: httpx where it copes, a socket where bytes matter."""

from __future__ import annotations

import gc
import gzip
import re
import select
import socket
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from appmetrica_frames.emulator import Emulator, MovableClock, faults
from appmetrica_frames.emulator.faults.response import CHUNK, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Asker, Emulate

    from appmetrica_frames.emulator.faults import Fault, Request

Framing = Literal["length", "chunked", "close"]

FRAMINGS: tuple[Framing, ...] = ("length", "chunked", "close")
QUIET = 0.05
PATIENCE = 5.0
STATUS = "/management/v1/logsapi/status"


def connected(ask: Asker, address: str | None = None, *, coding: str = "gzip") -> socket.socket:
    """Ask for the file over a connection that is used once; the answer is still unread."""
    where = urlsplit(address or ask.server.base_url)
    connection = socket.create_connection((where.hostname or "", where.port or 0), timeout=PATIENCE)
    lines = [
        f"GET /logs/v1/export/events.csv?{urlencode(ask.query())} HTTP/1.1",
        f"Host: {where.netloc}",
        f"Authorization: OAuth {ask.server.token}",
        f"Accept-Encoding: {coding}",
        "Connection: close",
    ]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return connection


def read(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def wire(ask: Asker, address: str | None = None, *, coding: str = "gzip") -> tuple[bytes, bytes]:
    """Return the answer's head without its date, which is no other by a fault, and all that follows it."""
    with connected(ask, address, coding=coding) as connection:
        head, _, body = read(connection).partition(b"\r\n\r\n")
    return re.sub(rb"\r\ndate: [^\r]+", b"", head), body


def packed(ask: Asker) -> bytes:
    return wire(ask)[1]


def hidden(ask: Asker) -> str:
    """Return where the emulator itself listens."""
    assert ask.server._proxy is not None
    return "http://{}:{}".format(*ask.server._proxy._address)


def expected(prone: Asker) -> bytes:
    return prone.server.answers["events"]


# Nothing planned


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_a_plan_without_faults_changes_no_byte(prone: Asker, coding: str) -> None:
    assert wire(prone, coding=coding) == wire(prone, hidden(prone), coding=coding)


def test_a_connection_serves_one_request_after_another(emulate: Emulate) -> None:
    ask = emulate(faults={1: faults.Answer(503)}, calls={3: faults.Frame("chunked")})
    connection = HTTPConnection("127.0.0.1", int(ask.server.base_url.rpartition(":")[2]), timeout=PATIENCE)
    connection.connect()
    connection.auto_open = 0
    with closing(connection):
        for address, status in ((STATUS, 200), ("/logs/v1/export/events.csv", 503), (STATUS, 200), (STATUS, 200)):
            connection.request("GET", address, headers={"Authorization": f"OAuth {ask.server.token}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status


def test_big_files_pass_whole(emulate: Emulate) -> None:
    ask = emulate(rows_per_day=2_000, faults={})
    words = {"fields": "event_name,event_json,city,appmetrica_device_id", "date_since": "2026-11-01"}
    text = ask.file(**words)
    assert len(text) > 1 << 20
    with httpx.Client(base_url=hidden(ask), headers=ask.http.headers) as direct:
        assert direct.get("/logs/v1/export/events.csv", params=ask.query(**words)).text == text


def test_planning_for_an_emulator_that_behaves_is_an_error(shared: Asker) -> None:
    with pytest.raises(RuntimeError, match=r"faults=\{\}"):
        shared.server.faults[1] = faults.Refuse()


# Which request


def test_export_requests_downloads_and_other_calls_are_counted_apart(emulate: Emulate) -> None:
    ask = emulate(preparation=100.0, faults={2: faults.Answer(502)}, bodies={1: faults.Replace(b"x")}, calls={})
    ask.server.calls[2] = faults.Answer(403)
    assert [ask.get().status_code for _ in range(3)] == [202, 502, 202]
    assert [ask.http.get(STATUS).status_code for _ in range(3)] == [200, 403, 200]
    ask.server.wait_until_idle()
    ask.server.clock.advance(101)
    first, second = ask.get(), ask.get()
    assert (first.content, second.text.partition("\n")[0]) == (b"x", "event_name,event_datetime")
    assert (ask.server.export_requests, ask.server.bodies.count, ask.server.calls.count) == (5, 2, 3)


def test_the_latest_rule_counts_and_none_is_one(prone: Asker) -> None:
    prone.server.faults[2:] = faults.Answer(503)
    prone.server.faults[3] = None
    prone.server.faults[4:5] = faults.Answer(504)
    assert [prone.get().status_code for _ in range(5)] == [200, 503, 200, 504, 503]


def test_a_predicate_chooses_requests(prone: Asker) -> None:
    prone.server.calls.when(lambda request: request.path.endswith("get_active_queries"), faults.Answer(403))
    listed = prone.http.get("/logs/v1/export/get_active_queries", params={"application_id": "1111"})
    assert (listed.status_code, prone.http.get(STATUS).status_code, prone.server.export_requests) == (403, 200, 0)


def test_a_plan_may_be_a_function_of_the_request(emulate: Emulate) -> None:
    seen: list[Request] = []

    def planned(request: Request) -> Fault | None:
        seen.append(request)
        return faults.Answer(500) if ("limit", "7") in request.query else None

    ask = emulate(faults=planned)
    assert [ask.get(limit=limit, headers={"X-Mark": "y"}).status_code for limit in (6, 7)] == [202, 500]
    assert [(request.number, request.headers["x-mark"]) for request in seen] == [(1, "y"), (2, "y")]


def test_behaving_again_forgets_faults_and_counts(prone: Asker) -> None:
    prone.server.faults[1:] = faults.Answer(503)
    assert prone.get().status_code == 503
    prone.server.clear_faults()
    assert prone.server.export_requests == 0
    assert prone.get().content == expected(prone)


def test_faults_of_a_tuple_follow_one_another(prone: Asker) -> None:
    prone.server.bodies[1] = faults.Append(b"tail"), faults.Frame("chunked"), faults.Cut(-2, "close")
    whole = wire(prone, hidden(prone))[1]
    head, body = wire(prone)
    assert body == whole + b"ta"
    assert b"Connection: close" in head


def test_a_plan_that_fails_is_reported_when_the_emulator_stops(emulate: Emulate) -> None:
    ask = emulate(faults={1: faults.Flip(10_000_000, 0)})
    with pytest.raises(httpx.RemoteProtocolError):
        ask.get()
    with pytest.raises(RuntimeError, match="could not be applied"):
        ask.server.stop()


# Other answers


@pytest.mark.parametrize("status", [401, 403, 420, 429, 500, 502, 503, 504])
def test_another_answer_keeps_the_request_from_the_emulator(prone: Asker, status: int) -> None:
    prone.server.faults[1] = faults.Answer(status, "out of order")
    before = len(prone.server.exchanges)
    answer = prone.get()
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (status, "out of order", "text/plain")
    assert len(prone.server.exchanges) == before


def test_an_answer_may_be_lost_after_the_request_took_effect(emulate: Emulate) -> None:
    ask = emulate(preparation=100.0, faults={1: faults.Answer(504, reached=True)})
    assert ask.get().status_code == 504
    assert len(ask.jobs()) == 1


def test_retry_after_is_seconds_or_a_date(prone: Asker) -> None:
    moment = datetime(2026, 11, 18, 15, 6, 40, tzinfo=UTC)
    prone.server.faults[1] = faults.Answer(429, retry_after=30)
    prone.server.faults[2] = faults.Answer(420, retry_after=moment)
    prone.server.faults[3] = faults.Answer(429)
    stated = [prone.get().headers.get("retry-after") for _ in range(3)]
    assert stated == ["30", "Wed, 18 Nov 2026 15:06:40 GMT", None]


def test_bodies_of_errors_are_text_json_or_html(prone: Asker) -> None:
    prone.server.faults[1] = faults.json_error(500, "no shard answers")
    prone.server.faults[2] = faults.html_page(502)
    prone.server.faults[3] = faults.Answer(503, {"why": "строй"}, {"Content-Type": "application/problem+json"})
    first, second, third = (prone.get() for _ in range(3))
    assert (first.status_code, first.json()["errors"][0]["message"]) == (500, "no shard answers")
    assert (second.headers["content-type"], second.text[:15]) == ("text/html", "<!DOCTYPE html>")
    assert (third.headers["content-type"], third.json()) == ("application/problem+json", {"why": "строй"})


def test_redirects_point_elsewhere(prone: Asker) -> None:
    prone.server.faults[1] = faults.redirect("http://localhost:1/other")
    answer = prone.get()
    assert (answer.status_code, answer.headers["location"]) == (302, "http://localhost:1/other")


# Connections


def test_refused_requests_do_not_arrive(prone: Asker) -> None:
    prone.server.faults[1] = faults.Refuse()
    before = len(prone.server.exchanges)
    with connected(prone) as connection:
        assert read(connection) == b""
    assert len(prone.server.exchanges) == before


def test_a_reset_before_the_answer(emulate: Emulate) -> None:
    ask = emulate(preparation=100.0, faults={1: faults.Reset()})
    with connected(ask) as connection, pytest.raises(ConnectionResetError):
        read(connection)
    assert len(ask.jobs()) == 1


def test_a_reset_within_the_body(prone: Asker) -> None:
    prone.server.bodies[1] = faults.Reset(after=10)
    received: list[bytes] = []
    with connected(prone) as connection, pytest.raises(ConnectionResetError):
        received.extend(iter(lambda: connection.recv(65536), b""))
    assert len(b"".join(received).partition(b"\r\n\r\n")[2]) <= 10


@pytest.mark.parametrize(("after", "received"), [(None, 0), (0, 0), (10, 10)])
def test_a_stall_lasts_until_the_client_leaves(prone: Asker, after: int | None, received: int) -> None:
    prone.server.bodies[1] = faults.Stall(after)
    with connected(prone) as connection:
        content = b""
        while select.select([connection], [], [], QUIET if after is None or content else PATIENCE)[0]:
            content += connection.recv(65536)
    assert content.startswith(b"HTTP/1.1 200") is (after is not None)
    assert len(content.partition(b"\r\n\r\n")[2]) == received


def test_a_delay_comes_before_the_status_line(prone: Asker) -> None:
    prone.server.faults[1] = faults.Delay(0.1)
    began = time.monotonic()
    assert prone.get().content == expected(prone)
    assert time.monotonic() - began >= 0.1


def test_a_body_trickles_until_it_may_hurry(prone: Asker) -> None:
    prone.server.bodies[1] = faults.Trickle(100, seconds=0.15)
    began = time.monotonic()
    assert prone.get().content == expected(prone)
    assert time.monotonic() - began >= 0.15
    slow = faults.Trickle(2, seconds=60).apply(Response(200))
    assert (slow.pace, slow.paced_for) == (2, 60)


# Bodies


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("zipped", [None, True, False])
def test_another_framing_carries_the_same_file(prone: Asker, framing: Framing, zipped: bool | None) -> None:  # noqa: FBT001
    prone.server.bodies[1] = faults.Frame(framing, zipped)
    answer = prone.get()
    assert answer.content == expected(prone)
    assert ("content-encoding" in answer.headers) is (zipped is not False)
    assert ("content-length" in answer.headers) is (framing == "length")
    assert (answer.headers.get("transfer-encoding") == "chunked") is (framing == "chunked")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_cut_body_is_its_beginning(prone: Asker, framing: Framing) -> None:
    whole = packed(prone)
    for at in range(0, len(whole), 7):
        prone.server.bodies[prone.server.bodies.count + 1] = faults.Cut(at, framing)
        head, body = wire(prone)
        size = b"%x\r\n" % len(whole)
        assert body == (size + whole[:at] if framing == "chunked" and at else whole[:at])
        stated = {"length": b"Content-Length: %d" % len(whole), "chunked": b"Transfer-Encoding: chunked"}
        assert head.endswith(stated.get(framing, b"Connection: close"))
    assert packed(prone) == whole


def test_only_chunks_can_be_cut_at_the_very_end(prone: Asker) -> None:
    whole = packed(prone)
    prone.server.bodies[2:] = faults.Cut(len(whole), "chunked")
    with pytest.raises(httpx.RemoteProtocolError):
        prone.get()
    prone.server.bodies[3:] = faults.Cut(len(whole))
    assert prone.get().content == expected(prone)


@pytest.mark.parametrize("at", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 5])
def test_chunks_are_cut_in_their_middle_and_between(at: int) -> None:
    body = bytes(range(256)) * (3 * CHUNK // 256)
    content = faults.Cut(at, "chunked").apply(Response(200, (), body)).frame_body()
    received = b""
    while content:
        size, _, content = content.partition(b"\r\n")
        assert int(size, 16) == CHUNK
        received, content = received + content[:CHUNK], content[CHUNK + 2 :]
    assert received == body[:at]


def test_the_second_download_is_cut_and_the_third_is_whole(prone: Asker) -> None:
    prone.server.bodies[2] = faults.Cut(-1, "chunked")
    assert prone.get().content == expected(prone)
    with pytest.raises(httpx.RemoteProtocolError):
        prone.get()
    assert prone.get().content == expected(prone)
    assert prone.server.preparations == 1


def test_a_cut_applies_to_whatever_a_numbered_request_is_answered(emulate: Emulate) -> None:
    ask = emulate(preparation=100.0, faults={1: faults.Cut(4)})
    with connected(ask) as connection:
        assert read(connection).endswith(b"\r\n\r\nWait")


def test_one_bit_is_flipped(prone: Asker) -> None:
    whole = packed(prone)
    prone.server.bodies[2] = faults.Flip(20, 3)
    flipped = packed(prone)
    assert [a ^ b for a, b in zip(whole, flipped, strict=True)] == [8 if at == 20 else 0 for at in range(len(whole))]


def test_bytes_are_appended_inside_the_framing(prone: Asker) -> None:
    prone.server.bodies[1] = faults.Append(b"junk")
    head, body = wire(prone)
    assert (gzip.decompress(body[:-4]), body[-4:]) == (expected(prone), b"junk")
    assert b"Content-Length: %d" % len(body) in head


def test_another_body_with_status_200(prone: Asker) -> None:
    prone.server.bodies[1] = faults.Replace(b"<html>", {"content-type": "text/html"})
    prone.server.bodies[2] = faults.Replace(b"city\n"), faults.Frame("length", gzip=True)
    page, zipped = prone.get(), prone.get()
    assert (page.text, page.headers["content-type"]) == ("<html>", "text/html")
    assert "content-encoding" not in page.headers
    assert (zipped.text, zipped.headers["content-encoding"]) == ("city\n", "gzip")


@pytest.mark.parametrize(
    ("fault", "becomes"),
    [
        (faults.wrong_header(), b'stranger,age\n"Minsk, old",3\nOmsk,\n"a ""b""\nc",5'),
        (faults.short_row(1), b'city,age\n"Minsk, old"\nOmsk,\n"a ""b""\nc",5'),
        (faults.short_row(3), b'city,age\n"Minsk, old",3\nOmsk,\n"a ""b""\nc"'),
        (faults.invalid_utf8(), b'city,age\n"Minsk, old",3\nOmsk,\n"a ""b""\n\xff",5'),
        (faults.Alter(bytes.upper), b'CITY,AGE\n"MINSK, OLD",3\nOMSK,\n"A ""B""\nC",5'),
    ],
)
def test_the_file_is_altered_under_its_encoding(prone: Asker, fault: Fault, becomes: bytes) -> None:
    prone.server.bodies[1] = fault
    answer = prone.get()
    assert (answer.content, answer.headers["content-encoding"]) == (becomes, "gzip")
    prone.server.bodies[2] = fault
    assert wire(prone, coding="identity")[1] == becomes


# The end


@pytest.mark.parametrize(
    "fault", [faults.Stall(), faults.Stall(3), faults.Delay(60), faults.Trickle(1), faults.Frame("chunked"), None]
)
def test_stopping_hangs_up_and_leaves_no_thread_and_no_listener(fault: Fault | None) -> None:
    before = threading.active_count()
    server = Emulator(rows_per_day=60, clock=MovableClock(start=1.8e9), faults={1: fault}).start()
    where = ("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    with closing(socket.create_connection(where, PATIENCE)) as connection:
        connection.sendall(b"GET /logs/v1/export/events.csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        arrived(lambda: server.export_requests == 1)
        server.stop()
        with suppress(ConnectionResetError):
            read(connection)
    assert threading.active_count() == before
    gc.collect()  # whatever was left open would warn now
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where, PATIENCE)


def arrived(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_stopping_twice_and_without_a_request_is_fine() -> None:
    server = Emulator(faults={}).start()
    server.stop()
    server.stop()


# Other people


def test_other_peoples_jobs_fill_the_queue_and_end_in_their_time(emulate: Emulate) -> None:
    ask = emulate(preparation=100.0)
    ask.server.add_foreign_jobs(3)
    assert (ask.get().status_code, len(ask.jobs()), ask.server.preparations) == (429, 3, 0)
    ask.server.wait_until_idle()
    ask.server.clock.advance(101)
    assert (ask.get().status_code, len(ask.jobs())) == (202, 3)
    assert ask.get(application_id=ask.server.other_application_id).status_code == 202
    for _ in range(3):
        ask.server.wait_until_idle()
        ask.server.clock.advance(101)
        ask.jobs()
    assert ask.get().status_code == 200
    assert ask.server.preparations == 2


def test_a_queue_takes_no_more_jobs_than_it_holds(slow: Asker) -> None:
    slow.server.add_foreign_jobs(2, application_id=slow.server.other_application_id)
    with pytest.raises(ValueError, match="has 2 already"):
        slow.server.add_foreign_jobs(2, application_id=slow.server.other_application_id)
    assert slow.jobs() == []
