"""What an answer that is neither the file nor 202 means: a typed error with the server's own words."""

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

LONGEST_QUOTE = 500
ENHANCE_YOUR_CALM = 420


class Refused(Protocol):
    """A status and what the body said."""

    @property
    def status(self) -> int: ...
    @property
    def text(self) -> str: ...


def is_quota(status: int) -> bool:
    """Tell whether the status means "later": the documentation names 429 in one language and 420 in another."""
    return status in {HTTPStatus.TOO_MANY_REQUESTS, ENHANCE_YOUR_CALM}


def is_server_fault(status: int) -> bool:
    """Tell whether the status is the server's own fault, and worth another try."""
    return HTTPStatus.INTERNAL_SERVER_ERROR <= status < 600  # noqa: PLR2004 - the end of 5xx


def error_from_response(answer: Refused) -> AppMetricaError:
    """Return the error that an answer amounts to."""
    status, said = answer.status, words(answer.text)
    quoted = f" The server says: {said}" if said else ""
    if is_quota(status):
        return QuotaExceededError(f"AppMetrica's quota is used up ({status}); try later.{quoted}", status=status)
    if is_server_fault(status):
        return ServerError(f"AppMetrica failed with {status}; try later.{quoted}", status=status)
    if status == HTTPStatus.UNAUTHORIZED:
        return AuthenticationError(
            f"AppMetrica refused the token (401): it is missing there, wrong or expired. Get a new one.{quoted}",
            status=status,
        )
    if status == HTTPStatus.FORBIDDEN:
        return AuthenticationError(
            "The token may not read this application (403): check application_id, and that the token is an OAuth "
            f"token of an account with access, not an API key.{quoted}",
            status=status,
        )
    return RequestRejectedError(f"{_advice(status)}{quoted}", status=status)


def words(body: str) -> str:
    """Return what an error body says, out of JSON, HTML or plain text, on one line of bounded length."""
    said = _of_json(body) or _of_html(body) or body
    said = " ".join(said.split())
    return said if len(said) <= LONGEST_QUOTE else said[:LONGEST_QUOTE] + " …"


def _advice(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return (
            f"The server redirects ({status}), which AppMetrica does not; the token is not sent elsewhere. "
            "Check base_url, and whether a proxy or a login page stands in between."
        )
    if status == HTTPStatus.NOT_FOUND:
        return "AppMetrica knows no such export or application (404): check application_id and base_url."
    if status == HTTPStatus.BAD_REQUEST:
        return "AppMetrica rejected the request (400)."
    return f"The server answered {status}, which is no part of the Logs API: check base_url."


def _of_json(body: str) -> str:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    told = [answer, *(errors if isinstance(errors, list) else [])]
    return "; ".join(dict.fromkeys(str(e["message"]) for e in told if isinstance(e, dict) and e.get("message")))


def _of_html(body: str) -> str:
    if not re.match(r"\s*<(!doctype|html)", body, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    return f"(an HTML page{', titled ' + repr(title[1].strip()) if title else ''})"
