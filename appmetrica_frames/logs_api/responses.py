"""What a status means: a typed error with the server's own message, for all but the file and 202."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, Protocol

from appmetrica_frames.errors import (
    AppMetricaError,
    AuthenticationError,
    QuotaExceededError,
    RequestRejectedError,
    ServerError,
)
from appmetrica_frames.util.terminal import escape_controls

MAX_MESSAGE = 500
ENHANCE_YOUR_CALM = 420


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
    return RequestRejectedError(f"{_advice(status)}{quoted}", status=status)


def error_message(body: str) -> str:
    """Return the message of an error body (JSON, HTML or plain text), on one line of limited length."""
    message = escape_controls(" ".join((_json_messages(body) or _html_title(body) or body).split()))
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + " …"


def _advice(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return (
            f"The server redirects ({status}), which AppMetrica does not; the token is not sent elsewhere. "
            "Check base_url, and whether there is a proxy or a login page in between."
        )
    if status == HTTPStatus.NOT_FOUND:
        return "AppMetrica knows no such export or application (404): check application_id and base_url."
    if status == HTTPStatus.BAD_REQUEST:
        return "AppMetrica rejected the request (400)."
    return f"The server answered {status}, which the Logs API does not use: check base_url."


def _json_messages(body: str) -> str:
    try:
        document: Any = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    entries = [document, *(errors if isinstance(errors, list) else [])]
    return "; ".join(dict.fromkeys(str(e["message"]) for e in entries if isinstance(e, dict) and e.get("message")))


def _html_title(body: str) -> str:
    if not re.match(r"\s*<(!doctype|html)", body, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    return f"(an HTML page{', titled ' + repr(title[1].strip()) if title else ''})"
