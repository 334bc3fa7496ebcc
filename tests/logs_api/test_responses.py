"""Error responses: a typed error with the message of the server and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from appmetrica_frames import AuthenticationError, RequestRejectedError
from appmetrica_frames.logs_api.responses import (
    error_from_response,
    error_message,
    find_rejected_fields,
    is_range_too_long,
)


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


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("Undefined parameter: foo in fields", ("foo",)),
        ('{"message": "Undefined parameter: foo in fields", "code": 400}', ("foo",)),
        ("undefined parameters: foo, 'bar' in  fields", ("foo", "bar")),
        ("Undefined parameter: a in fields; Undefined parameter: b in fields", ("a", "b")),
        ("Undefined parameter: profile attribute in fields.", ("profile attribute",)),
        ("Undefined parameter: foo", ()),
        ("Undefined parameter: date_dimension", ()),
        ("Wrong value of parameter fields", ()),
        ("", ()),
    ],
)
def test_the_fields_that_a_400_rejects_by_name(text: str, fields: tuple[str, ...]) -> None:
    error = error_from_response(ErrorResponse(400, text))
    assert isinstance(error, RequestRejectedError)
    assert error.fields == fields


def test_fields_are_found_beyond_the_quoted_part_of_a_message() -> None:
    names = [f"field_{number}" for number in range(90)]
    error = error_from_response(ErrorResponse(400, f"Undefined parameters: {', '.join(names)} in fields"))
    assert isinstance(error, RequestRejectedError)
    assert error.fields == find_rejected_fields(f"Undefined parameters: {', '.join(names)} in fields") == tuple(names)


@pytest.mark.parametrize(
    "text",
    [
        "The date range is too long",
        "Period is too large: at most 31 days",
        "The interval between date_since and date_until exceeds 90 days",
        "Too wide range: maximum is 1 month",
        "Requested days: not more than 31",
    ],
)
def test_a_range_that_is_too_long_is_told_apart(text: str) -> None:
    error = error_from_response(ErrorResponse(400, text))
    assert isinstance(error, RequestRejectedError)
    assert error.is_range_too_long
    assert "fewer days" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "Wrong value of parameter date_until: it is before date_since",
        "Undefined parameter: foo in fields",
        "Wrong value of parameter limit: maximum is 50000000",
        "The date range is too large. Try to use more parts.",
        "",
    ],
)
def test_other_rejections_are_not_about_the_range(text: str) -> None:
    assert not is_range_too_long(text)


def test_controls_in_a_message_of_the_server_are_escaped() -> None:
    assert error_message("no \x1b[2J \u202eaccess") == r"no \x1b[2J \u202eaccess"
    assert error_message('{"message": "\\u001b]0;x\\u0007"}') == r"\x1b]0;x\x07"
