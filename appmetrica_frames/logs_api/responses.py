"""What a status means: a typed error with the server's own message, for all but the file and 202."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Protocol

from appmetrica_frames.errors import (
    AppMetricaError,
    AuthenticationError,
    QuotaExceededError,
    RequestRejectedError,
    ServerError,
)
from appmetrica_frames.util.terminal import escape_controls

from .texts import parse_json, replace_surrogates

MAX_MESSAGE = 500
MAX_FIELDS = 100
ENHANCE_YOUR_CALM = 420

_REJECTED_FIELDS = re.compile(
    r"undefined parameters?\s{0,9}:?\s{0,9}([^\n]{1,2000}?)\s{1,9}in\s{1,9}fields\b", re.IGNORECASE
)
_RANGE = re.compile(r"\b(range|period|interval|dates?|days|date_since|date_until)\b", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"\b(too (long|large|big|wide|many)|exceed\w{0,3}|at most|(no|not) (more|longer) than|max(imum)?|longest|limit)\b",
    re.IGNORECASE,
)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,500})</title>", re.IGNORECASE)


class ErrorResponse(Protocol):
    """A status and the text of the body."""

    @property
    def status(self) -> int: ...
    @property
    def text(self) -> str: ...


def is_quota(status: int) -> bool:
    """Return whether the status means "later": the documentation names 429 in one language and 420 in another."""
    return status in {HTTPStatus.TOO_MANY_REQUESTS, ENHANCE_YOUR_CALM}


def is_server_error(status: int) -> bool:
    """Return whether the server itself failed, so that another try is worth it."""
    return HTTPStatus.INTERNAL_SERVER_ERROR <= status < 600  # noqa: PLR2004 - the end of 5xx


def error_from_response(response: ErrorResponse) -> AppMetricaError:
    """Return the typed error for a response."""
    status, message = response.status, error_message(response.text)
    quoted = f" The server says: {message}" if message else ""
    if is_quota(status):
        return QuotaExceededError(f"AppMetrica's quota is used up ({status}); try later.{quoted}", status=status)
    if is_server_error(status):
        return ServerError(f"AppMetrica failed with {status}; try later.{quoted}", status=status)
    if status == HTTPStatus.UNAUTHORIZED:
        return AuthenticationError(
            f"AppMetrica refused the token (401): it is missing, wrong or expired. Get a new one.{quoted}",
            status=status,
        )
    if status == HTTPStatus.FORBIDDEN:
        return AuthenticationError(
            "The token may not read this application (403): check application_id, and that the token is an OAuth "
            f"token of an account with access, not an API key.{quoted}",
            status=status,
        )
    if status == HTTPStatus.BAD_REQUEST:
        return _bad_request(_whole_message(response.text), quoted)
    return RequestRejectedError(f"{_advice(status)}{quoted}", status=status)


def error_message(body: str) -> str:
    """Return the message of an error body (JSON, HTML or plain text), on one line of limited length."""
    message = escape_controls(_whole_message(body)[: MAX_MESSAGE + 1])  # cut first: escapes are longer than controls
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + " …"


def _whole_message(body: str) -> str:
    return " ".join(replace_surrogates(_json_messages(body) or _html_title(body) or body).split())


def find_rejected_fields(message: str) -> tuple[str, ...]:
    """Return the fields that a 400 rejects by name."""
    names = (name.strip(" \t'\"`[]") for match in _REJECTED_FIELDS.finditer(message) for name in match[1].split(","))
    return tuple(dict.fromkeys(name for name in names if name))[:MAX_FIELDS]


TOO_LONG_ADVICE = (
    " Request fewer days at once: with split='month', 'week' or 'day', each request is for no more than that."
)


def is_range_too_long(message: str) -> bool:
    """Return whether a 400 rejects the range of dates for its length."""
    return bool(_RANGE.search(message) and _TOO_LONG.search(message)) and "more parts" not in message.lower()


def _bad_request(message: str, quoted: str) -> RequestRejectedError:
    is_too_long = is_range_too_long(message)
    advice = TOO_LONG_ADVICE if is_too_long else ""
    return RequestRejectedError(
        f"AppMetrica rejected the request (400).{advice}{quoted}",
        status=HTTPStatus.BAD_REQUEST,
        fields=find_rejected_fields(message),
        is_range_too_long=is_too_long,
    )


def _advice(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return (
            f"The server redirects ({status}), which AppMetrica does not; the token is not sent elsewhere. "
            "Check base_url, and whether there is a proxy or a login page in between."
        )
    if status == HTTPStatus.NOT_FOUND:
        return "AppMetrica knows no such export or application (404): check application_id and base_url."
    return f"The server answered {status}, which the Logs API does not use: check base_url."


def _json_messages(body: str) -> str:
    try:
        document = parse_json(body)
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    entries = [document, *(errors if isinstance(errors, list) else [])]
    messages = (entry.get("message") for entry in entries if isinstance(entry, dict))
    return "; ".join(dict.fromkeys(text for text in messages if isinstance(text, str) and text))


def _html_title(body: str) -> str:
    if not re.match(r"\s*<(!doctype|html)", body, re.IGNORECASE):
        return ""
    title = _TITLE.search(body)
    return f"(an HTML page{', titled ' + repr(title[1].strip()) if title else ''})"
