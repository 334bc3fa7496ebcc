"""Every fault as a client sees it: with httpx, or with a socket where bytes matter."""

from __future__ import annotations

import gzip
import select
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import httpx
import pytest

from appmetrica_frames.emulator import faults
from appmetrica_frames.emulator.faults.response import CHUNK, Response

if TYPE_CHECKING:
    import socket

    from conftest import ApiClient, StartEmulator

    from appmetrica_frames.emulator.faults import Fault


Framing = Literal["length", "chunked", "close"]


FRAMINGS: tuple[Framing, ...] = ("length", "chunked", "close")


QUIET = 0.05


SOCKET_TIMEOUT = 5.0


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("status", [401, 403, 420, 429, 500, 502, 503, 504])
def test_a_replaced_response_keeps_the_request_from_the_emulator(faulty_api: ApiClient, status: int) -> None:
    faulty_api.server.faults[1] = faults.Answer(status, "out of order")
    before = len(faulty_api.server.exchanges)
    response = faulty_api.get()
    assert (response.status_code, response.text, response.headers["content-type"]) == (
        status,
        "out of order",
        "text/plain",
    )
    assert len(faulty_api.server.exchanges) == before


def test_a_response_may_be_lost_after_the_request_took_effect(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0, faults={1: faults.Answer(504, reached=True)})
    assert api.get().status_code == 504
    assert len(api.list_jobs()) == 1


def test_retry_after_is_seconds_or_a_date(faulty_api: ApiClient) -> None:
    moment = datetime(2026, 11, 18, 15, 6, 40, tzinfo=UTC)
    faulty_api.server.faults[1] = faults.Answer(429, retry_after=30)
    faulty_api.server.faults[2] = faults.Answer(420, retry_after=moment)
    faulty_api.server.faults[3] = faults.Answer(429)
    stated = [faulty_api.get().headers.get("retry-after") for _ in range(3)]
    assert stated == ["30", "Wed, 18 Nov 2026 15:06:40 GMT", None]


def test_error_bodies_are_text_json_or_html(faulty_api: ApiClient) -> None:
    faulty_api.server.faults[1] = faults.json_error(500, "no shard answers")
    faulty_api.server.faults[2] = faults.html_page(502)
    faulty_api.server.faults[3] = faults.Answer(503, {"why": "строй"}, {"Content-Type": "application/problem+json"})
    first, second, third = (faulty_api.get() for _ in range(3))
    assert (first.status_code, first.json()["errors"][0]["message"]) == (500, "no shard answers")
    assert (second.headers["content-type"], second.text[:15]) == ("text/html", "<!DOCTYPE html>")
    assert (third.headers["content-type"], third.json()) == ("application/problem+json", {"why": "строй"})


def test_redirects_have_a_location(faulty_api: ApiClient) -> None:
    faulty_api.server.faults[1] = faults.redirect("http://localhost:1/other")
    response = faulty_api.get()
    assert (response.status_code, response.headers["location"]) == (302, "http://localhost:1/other")


def test_refused_requests_do_not_arrive(faulty_api: ApiClient) -> None:
    faulty_api.server.faults[1] = faults.Refuse()
    before = len(faulty_api.server.exchanges)
    with faulty_api.connect() as connection:
        assert read_all(connection) == b""
    assert len(faulty_api.server.exchanges) == before


def test_a_reset_before_the_response(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0, faults={1: faults.Reset()})
    with api.connect() as connection, pytest.raises(ConnectionResetError):
        read_all(connection)
    assert len(api.list_jobs()) == 1


def test_a_reset_within_the_body(faulty_api: ApiClient) -> None:
    faulty_api.server.bodies[1] = faults.Reset(after=10)
    received: list[bytes] = []
    with faulty_api.connect() as connection, pytest.raises(ConnectionResetError):
        received.extend(iter(lambda: connection.recv(65536), b""))
    assert len(b"".join(received).partition(b"\r\n\r\n")[2]) <= 10


@pytest.mark.parametrize(("after", "received"), [(None, 0), (0, 0), (10, 10)])
def test_a_stall_lasts_until_the_client_disconnects(faulty_api: ApiClient, after: int | None, received: int) -> None:
    faulty_api.server.bodies[1] = faults.Stall(after)
    with faulty_api.connect() as connection:
        content = b""
        while select.select([connection], [], [], QUIET if after is None or content else SOCKET_TIMEOUT)[0]:
            content += connection.recv(65536)
    assert content.startswith(b"HTTP/1.1 200") is (after is not None)
    assert len(content.partition(b"\r\n\r\n")[2]) == received


def test_a_delay_comes_before_the_status_line(faulty_api: ApiClient) -> None:
    faulty_api.server.faults[1] = faults.Delay(0.1)
    began = time.monotonic()
    assert faulty_api.get().content == faulty_api.server.answers["events"]
    assert time.monotonic() - began >= 0.1


def test_a_body_trickles_for_some_seconds(faulty_api: ApiClient) -> None:
    faulty_api.server.bodies[1] = faults.Trickle(100, seconds=0.15)
    began = time.monotonic()
    assert faulty_api.get().content == faulty_api.server.answers["events"]
    assert time.monotonic() - began >= 0.15
    slow_api = faults.Trickle(2, seconds=60).apply(Response(200))
    assert (slow_api.pace, slow_api.paced_for) == (2, 60)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("zipped", [None, True, False])
def test_every_framing_has_the_same_content(faulty_api: ApiClient, framing: Framing, zipped: bool | None) -> None:  # noqa: FBT001
    faulty_api.server.bodies[1] = faults.Frame(framing, zipped)
    response = faulty_api.get()
    assert response.content == faulty_api.server.answers["events"]
    assert ("content-encoding" in response.headers) is (zipped is not False)
    assert ("content-length" in response.headers) is (framing == "length")
    assert (response.headers.get("transfer-encoding") == "chunked") is (framing == "chunked")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_cut_body_is_its_beginning(faulty_api: ApiClient, framing: Framing) -> None:
    whole = faulty_api.read_wire()[1]
    for at in range(0, len(whole), 7):
        faulty_api.server.bodies[faulty_api.server.bodies.count + 1] = faults.Cut(at, framing)
        head, body = faulty_api.read_wire()
        size = b"%x\r\n" % len(whole)
        assert body == (size + whole[:at] if framing == "chunked" and at else whole[:at])
        stated = {"length": b"Content-Length: %d" % len(whole), "chunked": b"Transfer-Encoding: chunked"}
        assert head.endswith(stated.get(framing, b"Connection: close"))
    assert faulty_api.read_wire()[1] == whole


def test_only_a_chunked_body_can_be_cut_at_the_very_end(faulty_api: ApiClient) -> None:
    whole = faulty_api.read_wire()[1]
    faulty_api.server.bodies[2:] = faults.Cut(len(whole), "chunked")
    with pytest.raises(httpx.RemoteProtocolError):
        faulty_api.get()
    faulty_api.server.bodies[3:] = faults.Cut(len(whole))
    assert faulty_api.get().content == faulty_api.server.answers["events"]


@pytest.mark.parametrize("at", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 5])
def test_chunks_are_cut_inside_and_between(at: int) -> None:
    body = bytes(range(256)) * (3 * CHUNK // 256)
    content = faults.Cut(at, "chunked").apply(Response(200, (), body)).frame_body()
    received = b""
    while content:
        size, _, content = content.partition(b"\r\n")
        assert int(size, 16) == CHUNK
        received, content = received + content[:CHUNK], content[CHUNK + 2 :]
    assert received == body[:at]


def test_the_second_download_is_cut_and_the_third_is_whole(faulty_api: ApiClient) -> None:
    faulty_api.server.bodies[2] = faults.Cut(-1, "chunked")
    assert faulty_api.get().content == faulty_api.server.answers["events"]
    with pytest.raises(httpx.RemoteProtocolError):
        faulty_api.get()
    assert faulty_api.get().content == faulty_api.server.answers["events"]
    assert faulty_api.server.preparations == 1


def test_a_cut_applies_to_any_status(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0, faults={1: faults.Cut(4)})
    with api.connect() as connection:
        assert read_all(connection).endswith(b"\r\n\r\nWait")


def test_one_bit_is_flipped(faulty_api: ApiClient) -> None:
    whole = faulty_api.read_wire()[1]
    faulty_api.server.bodies[2] = faults.Flip(20, 3)
    flipped = faulty_api.read_wire()[1]
    assert [a ^ b for a, b in zip(whole, flipped, strict=True)] == [8 if at == 20 else 0 for at in range(len(whole))]


def test_bytes_are_appended_inside_the_framing(faulty_api: ApiClient) -> None:
    faulty_api.server.bodies[1] = faults.Append(b"junk")
    head, body = faulty_api.read_wire()
    assert (gzip.decompress(body[:-4]), body[-4:]) == (faulty_api.server.answers["events"], b"junk")
    assert b"Content-Length: %d" % len(body) in head


def test_another_body_with_status_200(faulty_api: ApiClient) -> None:
    faulty_api.server.bodies[1] = faults.Replace(b"<html>", {"content-type": "text/html"})
    faulty_api.server.bodies[2] = faults.Replace(b"city\n"), faults.Frame("length", gzip=True)
    page, zipped = faulty_api.get(), faulty_api.get()
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
def test_the_file_is_altered_inside_its_encoding(faulty_api: ApiClient, fault: Fault, becomes: bytes) -> None:
    faulty_api.server.bodies[1] = fault
    response = faulty_api.get()
    assert (response.content, response.headers["content-encoding"]) == (becomes, "gzip")
    faulty_api.server.bodies[2] = fault
    assert faulty_api.read_wire(coding="identity")[1] == becomes
