"""Bodies as they come off the wire: what is whole is taken, what is not is refused, and the token goes nowhere else."""

from __future__ import annotations

import gzip
import socket
import threading
from typing import Any

import pytest

import appmetrica_frames as af

CONTENT = b"appmetrica_device_id,token\n1,a\n2,b\n3,c"
TOKENS = ["a", "b", "c"]
WORDS: dict[str, Any] = {"application_id": 1, "fields": ["token", "appmetrica_device_id"]}


def answer(body: bytes, *headers: str, status: str = "200 OK", framing: str = "length") -> bytes:
    """Frame a body in one of HTTP's three ways."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:7], body[7:]) if piece) + b"0\r\n\r\n"
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read(server: Any, **settings: Any) -> list[str]:
    tokens: list[str] = af.read_appmetrica("push_tokens", **WORDS, client=server.client(**settings))["token"].to_list()
    return tokens


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_gzip_is_taken_where_http_frames_it(framing: str, raw_server: Any) -> None:
    server = raw_server(lambda *_: answer(gzip.compress(CONTENT), "Content-Encoding: gzip", framing=framing))
    assert read(server) == TOKENS


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_identity_body_is_taken_where_http_frames_it(framing: str, raw_server: Any) -> None:
    assert read(raw_server(lambda *_: answer(CONTENT, framing=framing))) == TOKENS


@pytest.mark.parametrize(("content", "headers"), [(CONTENT, ()), (gzip.compress(CONTENT), ("Content-Encoding: gzip",))])
def test_a_body_that_ends_with_the_connection_is_refused(
    content: bytes, headers: tuple[str, ...], raw_server: Any
) -> None:
    with pytest.raises(af.DownloadError, match="a cut would go unnoticed"):
        read(raw_server(lambda *_: answer(content, *headers, framing="close")))
    assert af.Cache().ls() == []


def test_gzip_that_is_not_announced_is_recognised(raw_server: Any) -> None:
    assert read(raw_server(lambda *_: answer(gzip.compress(CONTENT)))) == TOKENS


def test_several_gzip_members_are_all_taken(raw_server: Any) -> None:
    body = gzip.compress(CONTENT[:20]) + gzip.compress(CONTENT[20:])
    assert read(raw_server(lambda *_: answer(body, "Content-Encoding: gzip"))) == TOKENS


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_body_cut_anywhere_is_never_taken(framing: str, zipped: bool, raw_server: Any) -> None:  # noqa: FBT001
    body = gzip.compress(CONTENT) if zipped else CONTENT
    whole = answer(body, *(["Content-Encoding: gzip"] if zipped else []), framing=framing)
    head = whole.index(b"\r\n\r\n") + 4
    cuts = range(head, len(whole), 7)
    server = raw_server(lambda number, _: whole[: cuts[number - 1]])
    for _ in cuts:
        with pytest.raises(af.DownloadError):
            read(server)
    assert af.Cache().ls() == []


def test_a_cut_download_is_taken_up_from_the_file(raw_server: Any) -> None:
    whole = answer(gzip.compress(CONTENT), "Content-Encoding: gzip")
    server = raw_server(lambda number, _: whole[:-5] if number == 1 else whole)
    assert read(server, retries=1) == TOKENS
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("body", "headers", "hint"),
    [
        (b"<!DOCTYPE html><html><title>Welcome</title></html>", ["Content-Type: text/html"], "DOCTYPE html"),
        (b'{"error": "something went wrong"}', ["Content-Type: application/json"], "something went wrong"),
        (b"token\na\nb", [], "appmetrica_device_id"),
        (b"token,appmetrica_device_id,city\na,1,b", [], "city"),
        (b"appmetrica_device_id,token\n1", [], "Row 1"),
        (b"appmetrica_device_id,token\n1,\xff", [], "UTF-8"),
        (b'appmetrica_device_id,token\n1,"a', [], "quote"),
        (CONTENT, ["Content-Encoding: br"], "br"),
    ],
)
def test_a_200_that_is_no_export_is_one_typed_error(
    body: bytes, headers: list[str], hint: str, raw_server: Any
) -> None:
    server = raw_server(lambda *_: answer(body, *headers))
    with pytest.raises(af.DecodeError, match=hint):
        read(server, retries=3)
    assert len(server.requests) == 1
    assert af.Cache().ls() == []


def test_an_empty_body_is_a_broken_download(raw_server: Any) -> None:
    with pytest.raises(af.DownloadError, match="empty"):
        read(raw_server(lambda *_: answer(b"")))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_refused_and_not_followed(status: str, raw_server: Any) -> None:
    other = raw_server(lambda *_: answer(CONTENT))
    server = raw_server(lambda *_: answer(b"", f"Location: {other.base_url}/", status=status))
    with pytest.raises(af.RequestRejectedError, match="base_url"):
        read(server)
    assert other.requests == []


def test_a_server_that_is_not_there_is_a_download_error(raw_server: Any) -> None:
    server = raw_server(lambda *_: b"")
    client = server.client()
    server.close()
    with pytest.raises(af.DownloadError, match="before it answered"):
        af.read_appmetrica("push_tokens", **WORDS, client=client)


def test_a_server_without_tls_is_a_download_error(raw_server: Any) -> None:
    server = raw_server(lambda *_: b"HTTP/1.1 200 OK\r\n\r\n")
    client = af.Client("canary-token", base_url=server.base_url.replace("http:", "https:"), retries=0, progress=False)
    with pytest.raises(af.DownloadError, match="before it answered"):
        af.read_appmetrica("push_tokens", **WORDS, client=client)
    assert all(b"canary-token" not in request for request in server.requests)


def test_a_host_without_an_address_is_a_download_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = af.Client("canary-token", base_url="https://appmetrica.example", retries=0, progress=False)
    with pytest.raises(af.DownloadError, match="Name or service not known"):
        af.read_appmetrica("push_tokens", **WORDS, client=client)


def test_a_server_that_says_nothing_is_given_up(raw_server: Any) -> None:
    stop = threading.Event()

    def silent(*_: object) -> bytes:
        stop.wait(5)
        return b""

    server = raw_server(silent)
    with pytest.raises(af.DownloadError):
        read(server, network_timeout=0.05)
    stop.set()


@pytest.mark.parametrize("words", [b"", b"not HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_a_server_that_does_not_speak_http_is_a_download_error(words: bytes, raw_server: Any) -> None:
    with pytest.raises(af.DownloadError):
        read(raw_server(lambda *_: words))


def test_what_is_sent(raw_server: Any) -> None:
    server = raw_server(lambda number, _: answer(b"Wait", status="202 Accepted") if number < 3 else answer(CONTENT))
    af.read_appmetrica("push_tokens", **WORDS, max_age=60, client=server.client())
    heads = [request.decode().split("\r\n") for request in server.requests]
    assert [head[0] for head in heads] == [
        "GET /logs/v1/export/push_tokens.csv?application_id=1&fields=appmetrica_device_id%2Ctoken HTTP/1.1"
    ] * 3
    assert all("Authorization: OAuth canary-token" in head for head in heads)
    assert all("Accept-Encoding: gzip" in head for head in heads)
    assert [[line for line in head if line.startswith("Cache-Control")] for head in heads] == [
        ["Cache-Control: max-age=60"],
        [],
        [],
    ]


def test_a_server_that_echoes_the_token_does_not_get_it_into_an_error(raw_server: Any) -> None:
    server = raw_server(lambda _, request: answer(request, status="400 Bad Request"))
    with pytest.raises(af.RequestRejectedError) as caught:
        read(server)
    assert "canary-token" not in str(caught.value)
