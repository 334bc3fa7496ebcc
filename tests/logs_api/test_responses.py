"""Error responses: a typed error with the message of the server and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from appmetrica_frames import AuthenticationError, RequestRejectedError
from appmetrica_frames.logs_api.responses import error_from_response, error_message


@dataclass(frozen=True)
class ErrorResponse:
    status: int
    text: str


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("plain text\nover lines ", "plain text over lines"),
        ('{"code": 400, "message": "bad field"}', "bad field"),
        ('{"errors": [{"error_type": "x", "message": "one"}, {"message": "two"}], "message": "one"}', "one; two"),
        ('{"errors": "odd"}', '{"errors": "odd"}'),
        ("[1, 2]", "[1, 2]"),
        ("", ""),
        ("<!DOCTYPE html><html><title>Log\n in</title>", "(an HTML page, titled 'Log\\n in')"),
        ("<html>", "(an HTML page)"),
    ],
)
def test_error_message_of_json_html_and_text(body: str, expected: str) -> None:
    assert error_message(body) == expected


def test_long_messages_are_cut() -> None:
    assert len(error_message("x" * 10_000)) < 600


@pytest.mark.parametrize(
    ("status", "text", "error", "hint"),
    [
        (401, "", AuthenticationError, "wrong or expired"),
        (403, "", AuthenticationError, "check application_id"),
        (302, "", RequestRejectedError, "Check base_url"),
        (404, "", RequestRejectedError, "application_id and base_url"),
        (400, "Undefined parameter", RequestRejectedError, "rejected the request .400.*Undefined parameter"),
        (200, "", RequestRejectedError, "the Logs API does not use"),
    ],
)
def test_the_error_explains_what_to_do(status: int, text: str, error: type[Exception], hint: str) -> None:
    with pytest.raises(error, match=hint):
        raise error_from_response(ErrorResponse(status, text))


def test_controls_in_a_message_of_the_server_are_escaped() -> None:
    assert error_message("no \x1b[2J \u202eaccess") == r"no \x1b[2J \u202eaccess"
    assert error_message('{"message": "\\u001b]0;x\\u0007"}') == r"\x1b]0;x\x07"
