"""A server that echoes the token, in whatever form, gets it into no error and no log record."""

from __future__ import annotations

import gzip
import html
import json
import logging
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import appmetrica_frames as af
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.logs_api.masking import MASK, TokenMask
from appmetrica_frames.util.config import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "y0_c=n/ry+3b&9'ac-ff"

FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "JSON": json.dumps,
    "JSON of code points": lambda token: "".join(f"\\u{ord(letter):04x}" for letter in token),
    "JSON of some code points": lambda token: token.replace("=", "\\u003d").replace("&", "\\u0026"),
    "JSON of upper-case code points": lambda token: token.replace("=", "\\u003D").replace("/", "\\u002F"),
    "JSON with escaped slashes": lambda token: token.replace("/", "\\/"),
    "JSON in JSON": lambda token: json.dumps(json.dumps(token.replace("=", "\\u003d"))),
    "Python": lambda token: "".join(f"\\x{ord(letter):02x}" for letter in token),
    "a repr of bytes": lambda token: repr(bytearray(token.encode())),
    "a URL": lambda token: quote(token, safe=""),
    "HTML": html.escape,
    "decimal HTML": lambda token: "".join(f"&#{ord(letter)};" for letter in token),
    "hexadecimal HTML": lambda token: "".join(f"&#x{ord(letter):X};" for letter in token),
    "UTF-16": lambda token: token.encode("utf-16-le").decode("latin-1"),
}


def decode(text: str) -> str:
    """Undo every escape that one of the forms uses."""
    for _ in range(3):
        text = html.unescape(text).replace("\\/", "/").replace("\0", "")
        text = text.encode("latin-1", "replace").decode("unicode_escape")
    return text


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_the_token_is_masked(form: str) -> None:
    masked = TokenMask(Secret(TOKEN)).text(f"before {FORMS[form](TOKEN)} after")
    assert MASK in masked
    assert masked.startswith("before")
    assert masked.endswith("after")
    assert "3b" not in masked


@given(st.text("abcXYZ019-_=/+.\\'\"<&%", min_size=4, max_size=30), st.sampled_from(sorted(FORMS)))
def test_any_token_is_masked(token: str, form: str) -> None:
    assert MASK in TokenMask(Secret(token)).text(FORMS[form](token))


def test_other_texts_stay() -> None:
    text = "Wait for result. Progress is 5%. \\u003d \\/ &amp; %3D y0_ *"
    assert TokenMask(Secret(TOKEN)).text(text) == text


def test_a_mask_does_not_show_the_token() -> None:
    mask = TokenMask(Secret(TOKEN))
    assert "y0_" not in f"{mask!r} {vars(mask)}"


def test_the_causes_of_an_error_are_masked() -> None:
    with pytest.raises(af.SchemaError) as caught:
        raise af.SchemaError(f"bad {TOKEN}", value=TOKEN) from ValueError(f"worse {TOKEN}", TOKEN.encode())
    TokenMask(Secret(TOKEN)).error(caught.value)
    assert caught.value.value == MASK
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__cause__)
    assert shown.count(MASK) >= 3
    assert f"bad {MASK}" in shown
    assert f"worse {MASK}" in shown


def response(status: str, body: str, *headers: str) -> bytes:
    raw = body.encode()
    head = "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(raw)}", *headers])
    return head.encode("latin-1") + b"\r\n\r\n" + raw


ECHOES: dict[str, Callable[[str], bytes]] = {
    "a text": lambda form: response("400 Bad Request", form),
    "a JSON message": lambda form: response("400 Bad Request", f'{{"message": "your token {form}"}}'),
    "a page": lambda form: response("403 Forbidden", f"<html><title>{form}</title>"),
    "a reason phrase": lambda form: response(f"400 {form}", "no"),
    "a header": lambda form: response("400 Bad Request", "no", f"X-Echo: OAuth {form}"),
    "Content-Encoding": lambda form: response("400 Bad Request", "no", f"Content-Encoding: {form}"),
    "a status line that is not one": lambda form: f"OAuth {form}\r\n\r\n".encode(),
    "a header line that is not one": lambda form: f"HTTP/1.1 200 OK\r\nOAuth {form}\r\n\r\n".encode(),
    "a column": lambda form: response("200 OK", f"{form},city\n1,2"),
    "a page instead of a file": lambda form: response("200 OK", f"<!DOCTYPE html>{form}"),
    "the encoding of a file": lambda form: response("200 OK", "token,city\n", f"Content-Encoding: {form}"),
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("form", ["itself", "JSON of some code points", "JSON with escaped slashes", "a URL"])
def test_an_echo_is_in_no_error_and_no_log(
    echo: str, form: str, raw_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    token = "y0_c=n/ry-3b9ac9ff"
    for name in ("appmetrica_frames", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, name)
    server = raw_server(lambda *_: ECHOES[echo](FORMS[form](token)))
    client = af.Client(token, base_url=server.base_url, retries=0, progress=False)
    with pytest.raises(af.AppMetricaError) as caught:
        af.read_appmetrica("push_tokens", application_id=1, fields=["token", "city"], client=client)
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value)) + caplog.text
    shown += "".join(record.getMessage() for record in caplog.records)
    assert len(caplog.records) > 5
    assert "3b9ac9ff" not in shown
    assert "3b9ac9ff" not in decode(shown)


def test_the_headers_of_a_response_are_masked(raw_server: Any) -> None:
    """They are among the local variables that reports of errors show."""
    server = raw_server(lambda *_: response("200 OK", "no", "X-Echo: OAuth canary%2Dtoken"))
    with resolve_settings(server.client()).connect() as connection:
        opened = connection.open("/")
        assert opened.headers["x-echo"] == "OAuth ***"
        opened.close()


def test_a_gzipped_echo_is_masked(raw_server: Any) -> None:
    body = gzip.compress(b'{"message": "canary\\u002dtoken"}')
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    server = raw_server(lambda *_: head.encode() + body)
    with pytest.raises(af.RequestRejectedError, match=r"The server says: \*\*\*"):
        af.read_appmetrica("push_tokens", application_id=1, fields=["token", "city"], client=server.client())


def test_the_loggers_are_left_as_they_were(raw_server: Any) -> None:
    filters = [list(logging.getLogger(name).filters) for name in ("httpx", "httpcore.http11")]
    server = raw_server(lambda *_: response("400 Bad Request", "no"))
    with pytest.raises(af.RequestRejectedError):
        af.read_appmetrica("push_tokens", application_id=1, fields=["token", "city"], client=server.client())
    assert [list(logging.getLogger(name).filters) for name in ("httpx", "httpcore.http11")] == filters
