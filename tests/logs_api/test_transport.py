"""Bodies as they come off the wire: complete ones are read, others refused, and the token goes nowhere else."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import httpcore
import httpx
import pytest

import appmetrica_frames as af
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.logs_api.network import MeteredBackend, MeteredStream
from appmetrica_frames.logs_api.transport import ResponseBody, _environment_proxy
from appmetrica_frames.progress import NullReporter
from appmetrica_frames.util.clock import SystemClock

if TYPE_CHECKING:
    from appmetrica_frames.emulator import Emulator

CONTENT = b"appmetrica_device_id,token\n1,a\n2,b\n3,c"
TOKENS = ["a", "b", "c"]
PARAMETERS: dict[str, Any] = {"application_id": 1, "fields": ["token", "appmetrica_device_id"]}


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
    tokens: list[str] = af.read_appmetrica("push_tokens", **PARAMETERS, client=server.client(**settings))[
        "token"
    ].to_list()
    return tokens


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_gzip_is_read_in_either_framing(framing: str, raw_server: Any) -> None:
    server = raw_server(lambda *_: answer(gzip.compress(CONTENT, mtime=0), "Content-Encoding: gzip", framing=framing))
    assert read(server) == TOKENS


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_identity_body_is_read_if_http_frames_it(framing: str, raw_server: Any) -> None:
    assert read(raw_server(lambda *_: answer(CONTENT, framing=framing))) == TOKENS


@pytest.mark.parametrize(
    ("content", "headers"), [(CONTENT, ()), (gzip.compress(CONTENT, mtime=0), ("Content-Encoding: gzip",))]
)
def test_a_body_that_ends_with_the_connection_is_refused(
    content: bytes, headers: tuple[str, ...], raw_server: Any
) -> None:
    with pytest.raises(af.DownloadError, match="a cut would go unnoticed"):
        read(raw_server(lambda *_: answer(content, *headers, framing="close")))
    assert af.Cache().exports() == []


def test_a_body_cut_between_two_gzip_members_is_refused(raw_server: Any) -> None:
    first = gzip.compress(CONTENT[: CONTENT.index(b"\n3") + 1])
    with pytest.raises(af.DownloadError, match="a cut would go unnoticed"):
        read(raw_server(lambda *_: answer(first, "Content-Encoding: gzip", framing="close")))


def test_gzip_without_content_encoding_is_detected(raw_server: Any) -> None:
    assert read(raw_server(lambda *_: answer(gzip.compress(CONTENT, mtime=0)))) == TOKENS


def test_all_gzip_members_are_read(raw_server: Any) -> None:
    body = gzip.compress(CONTENT[:20]) + gzip.compress(CONTENT[20:])
    assert read(raw_server(lambda *_: answer(body, "Content-Encoding: gzip"))) == TOKENS


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_body_cut_anywhere_is_never_accepted(framing: str, zipped: bool, raw_server: Any) -> None:  # noqa: FBT001
    body = gzip.compress(CONTENT, mtime=0) if zipped else CONTENT
    whole = answer(body, *(["Content-Encoding: gzip"] if zipped else []), framing=framing)
    head = whole.index(b"\r\n\r\n") + 4
    cuts = range(head, len(whole), 7)
    server = raw_server(lambda number, _: whole[: cuts[number - 1]])
    for _ in cuts:
        with pytest.raises(af.DownloadError):
            read(server)
    assert af.Cache().exports() == []


def test_a_cut_download_starts_again_from_the_file(raw_server: Any) -> None:
    whole = answer(gzip.compress(CONTENT, mtime=0), "Content-Encoding: gzip")
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
def test_a_200_that_is_not_an_export_is_one_typed_error(
    body: bytes, headers: list[str], hint: str, raw_server: Any
) -> None:
    server = raw_server(lambda *_: answer(body, *headers))
    with pytest.raises(af.DecodeError, match=hint):
        read(server, retries=3)
    assert len(server.requests) == 1
    assert af.Cache().exports() == []


def test_an_empty_body_is_a_broken_download(raw_server: Any) -> None:
    with pytest.raises(af.DownloadError, match="empty"):
        read(raw_server(lambda *_: answer(b"")))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_an_error_and_not_followed(status: str, raw_server: Any) -> None:
    other = raw_server(lambda *_: answer(CONTENT))
    server = raw_server(lambda *_: answer(b"", f"Location: {other.base_url}/", status=status))
    with pytest.raises(af.RequestRejectedError, match="base_url"):
        read(server)
    assert other.requests == []


@pytest.mark.parametrize("location", ["http://[bad", "http://x:port/", "\x01\x02", "//", "http://%00/", "a" * 5000, ""])
def test_a_redirect_to_nowhere_is_an_error_that_says_so(location: str, raw_server: Any) -> None:
    server = raw_server(lambda *_: answer(b"", f"Location: {location}", status="302 Found"))
    with pytest.raises(af.RequestRejectedError, match=r"redirects \(302\).*base_url"):
        read(server)


def test_a_server_that_is_not_there_is_a_download_error(raw_server: Any) -> None:
    server = raw_server(lambda *_: b"")
    client = server.client()
    server.close()
    with pytest.raises(af.DownloadError, match="cannot be reached"):
        af.read_appmetrica("push_tokens", **PARAMETERS, client=client)


def test_a_server_without_tls_is_a_download_error(raw_server: Any) -> None:
    server = raw_server(lambda *_: b"HTTP/1.1 200 OK\r\n\r\n")
    client = af.Client("canary-token", base_url=server.base_url.replace("http:", "https:"), retries=0, progress=False)
    with pytest.raises(af.DownloadError, match="cannot be reached"):
        af.read_appmetrica("push_tokens", **PARAMETERS, client=client)
    assert all(b"canary-token" not in request for request in server.requests)


def test_a_host_without_an_address_is_a_download_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = af.Client("canary-token", base_url="https://appmetrica.example", retries=0, progress=False)
    with pytest.raises(af.DownloadError, match="Name or service not known"):
        af.read_appmetrica("push_tokens", **PARAMETERS, client=client)


def test_a_silent_server_is_a_download_error(raw_server: Any) -> None:
    stop = threading.Event()

    def silent(*_: object) -> bytes:
        stop.wait(5)
        return b""

    server = raw_server(silent)
    with pytest.raises(af.DownloadError):
        read(server, network_timeout=0.05)
    stop.set()


@pytest.mark.parametrize("response", [b"", b"not HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_a_response_that_is_not_http_is_a_download_error(response: bytes, raw_server: Any) -> None:
    with pytest.raises(af.DownloadError):
        read(raw_server(lambda *_: response))


def test_the_request_on_the_wire(raw_server: Any) -> None:
    server = raw_server(lambda number, _: answer(b"Wait", status="202 Accepted") if number < 3 else answer(CONTENT))
    af.read_appmetrica("push_tokens", **PARAMETERS, max_age=60, client=server.client())
    heads = [request.decode().split("\r\n") for request in server.requests]
    assert [head[0] for head in heads] == [
        "GET /logs/v1/export/push_tokens.csv?application_id=1&fields=appmetrica_device_id%2Ctoken HTTP/1.1"
    ] * 3
    assert all("Authorization: OAuth canary-token" in head for head in heads)
    assert all("Accept-Encoding: gzip" in head for head in heads)
    assert all(f"User-Agent: appmetrica-frames/{af.__version__}" in head for head in heads)
    assert [[line for line in head if line.startswith("Cache-Control")] for head in heads] == [
        ["Cache-Control: max-age=60"],
        [],
        [],
    ]


def test_an_echoed_token_is_not_in_the_error(raw_server: Any) -> None:
    server = raw_server(lambda _, request: answer(request, status="400 Bad Request"))
    with pytest.raises(af.RequestRejectedError) as caught:
        read(server)
    assert "canary-token" not in str(caught.value)


@pytest.mark.parametrize("surplus", [1, 7, 70_000, 300_000])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_content_length_smaller_than_the_body_is_noticed(surplus: int, zipped: bool, raw_server: Any) -> None:  # noqa: FBT001
    body = gzip.compress(CONTENT, mtime=0) if zipped else CONTENT
    server = raw_server(lambda *_: answer(body) + bytes(surplus))
    with pytest.raises(af.DownloadError, match="longer than its Content-Length"):
        read(server)
    assert af.Cache().exports() == []


def test_the_first_of_several_rows_is_not_an_export(raw_server: Any) -> None:
    """A length that ends the body after a line: a frame of two rows instead of three."""
    length = CONTENT.index(b"\n3")
    server = raw_server(lambda *_: answer(CONTENT).replace(b"Length: %d" % len(CONTENT), b"Length: %d" % length))
    with pytest.raises(af.DownloadError, match="longer than its Content-Length"):
        read(server)


@pytest.mark.parametrize(("waiting", "is_longer"), [([], False), ([b""], False), ([b"x"], True)])
def test_surplus_bytes_still_on_the_socket_are_noticed(waiting: list[bytes], is_longer: bool) -> None:  # noqa: FBT001
    stream = MeteredStream(FakeSocket([b"HTTP/1.1 200 OK\r\n\r\nbody", *waiting]), SystemClock(), 5.0)
    stream.read(100)
    stream.start_body()
    assert stream.has_more_than(4) is is_longer
    assert stream.has_more_than(3)
    assert not stream.has_more_than(50)


class FakeSocket(httpcore.NetworkStream):
    """Gives chunks, and is readable as long as there are any."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._chunks.pop(0)

    def get_extra_info(self, info: str) -> bool:  # noqa: ARG002
        return bool(self._chunks)


def anonymous_tls(protocol: int) -> ssl.SSLContext:
    """Return TLS without certificates, which is for tests only."""
    context = ssl.SSLContext(protocol)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_read_is_broken_off_from_another_thread(is_tls: bool) -> None:  # noqa: FBT001
    """TLS takes the socket over, so that shutting down the plain one would end nothing."""
    stop, backend = threading.Event(), MeteredBackend(SystemClock(), timeout=30.0)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        if is_tls:
            connection = anonymous_tls(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True)
        with connection:
            stop.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        stream = backend.connect_tcp(*listener.getsockname()[:2], timeout=30.0)
        if is_tls:
            stream = stream.start_tls(anonymous_tls(ssl.PROTOCOL_TLS_CLIENT), timeout=30.0)

        def read_on() -> None:
            with suppress(httpcore.ReadError):
                stream.read(1)

        reader = threading.Thread(target=read_on)
        reader.start()
        reader.join(0.1)
        backend.abort()
        reader.join(5)
        is_over = not reader.is_alive()
        stop.set()
        server.join()
        reader.join()
    stream.close()
    assert is_over


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_informational_responses_are_not_part_of_the_body(status: str, raw_server: Any) -> None:
    before = f"HTTP/1.1 {status}\r\nLink: x\r\n\r\n".encode() * 3
    server = raw_server(lambda *_: before + answer(CONTENT))
    assert read(server) == TOKENS


def test_each_response_on_a_kept_connection_has_a_length_of_its_own(server: Emulator) -> None:
    """Neither the headers nor the bodies of the responses before it count."""
    client = af.Client(server.token, base_url=server.base_url, progress=False)
    with resolve_settings(client).connect() as connection:
        for _ in range(3):
            response = connection.open("/management/v1/applications")
            body = response.body(NullReporter())
            assert len(b"".join(body)) == body.total
            response.close()


class StubResponse:
    """Headers, as far as `ResponseBody` reads them."""

    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("headers", "framed", "total"),
    [
        ({}, False, None),
        ({"content_length": "5"}, True, 5),
        ({"transfer_encoding": "chunked"}, True, None),
        ({"transfer_encoding": "chunked", "content_length": "5"}, True, None),
    ],
    ids=str,
)
def test_framed_says_whether_http_marks_the_end(headers: dict[str, str], framed: bool, total: int | None) -> None:  # noqa: FBT001
    body = ResponseBody(cast("Any", StubResponse(**headers)), NullReporter())
    assert (body.framed, body.total) == (framed, total)


def test_the_proxy_of_the_environment_is_used_except_for_loopback(
    monkeypatch: pytest.MonkeyPatch, raw_server: Any
) -> None:
    proxy = raw_server(lambda *_: b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", proxy.base_url.replace("http://", "http://user:secret@"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    client = af.Client("canary-token", base_url="https://appmetrica.example", retries=0, progress=False)
    with pytest.raises(af.DownloadError, match="407"):
        af.read_appmetrica("push_tokens", **PARAMETERS, client=client)
    assert proxy.requests[0].startswith(b"CONNECT appmetrica.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in proxy.requests[0]
    assert b"canary-token" not in proxy.requests[0]

    monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
    assert read(raw_server(lambda *_: answer(CONTENT))) == TOKENS
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("bypassed", ["*", "appmetrica.example", ".example"])
def test_no_proxy_bypasses_the_proxy(bypassed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", bypassed)
    assert _environment_proxy(httpx.URL("https://appmetrica.example"), None) is None
    assert _environment_proxy(httpx.URL("https://other.test"), None) is not None or bypassed == "*"
