"""The Management API on the same host: the applications of a token, their time zones, and whether exports work."""

from __future__ import annotations

import logging
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from appmetrica_frames.errors import AppMetricaError, DecodeError, DownloadError
from appmetrica_frames.util.zones import MAX_OFFSET, parse_zone

from .responses import error_from_response
from .retry import RetryBudget
from .texts import parse_document, replace_surrogates

if TYPE_CHECKING:
    from datetime import tzinfo

    from .retry import RetryPolicy
    from .transport import Connection

log = logging.getLogger("appmetrica_frames")

APPLICATIONS_PATH = "/management/v1/applications"
APPLICATION_PATH = "/management/v1/application/{}"
STATUS_PATH = "/management/v1/logsapi/status"
MAX_ID = 1 << 64


def list_applications(connection: Connection, retry_policy: RetryPolicy) -> list[dict[str, Any]]:
    """Return the applications that the token can see: ``id``, ``name``, ``time_zone_name``, ``time_zone_offset``.

    Raises
    ------
    AppMetricaError
        `DecodeError` for a list in another shape than the documented one, or what the server or the network answered.
    """
    document = _get_json(connection, APPLICATIONS_PATH, retry_policy)
    applications = _member(document, "applications", APPLICATIONS_PATH)
    try:
        return [_parse_application(application) for application in applications]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DecodeError(f"{APPLICATIONS_PATH} did not answer with a list of applications: {error}.") from error


def get_time_zone(connection: Connection, retry_policy: RetryPolicy, application_id: int) -> tzinfo:
    """Return the time zone of an application."""
    path = APPLICATION_PATH.format(application_id)
    document = _get_json(connection, path, retry_policy)
    return _parse_time_zone(_member(document, "application", path), path)


def is_logs_api_enabled(connection: Connection) -> bool:
    """Return whether AppMetrica reports that its Logs API works; True where that is not known.

    This is a hint that must not cost an export: one try, and never an error.
    """
    try:
        document = connection.get_json(STATUS_PATH)
    except AppMetricaError:
        return True
    return not (isinstance(document, dict) and document.get("logs_api_availability_status") == "disabled")


def _get_json(connection: Connection, path: str, retry_policy: RetryPolicy) -> Any:
    """Return the JSON document at a path, after as many tries as the policy allows."""
    clock, budget = connection.clock, RetryBudget(retry_policy, random.random)
    began = clock.monotonic()
    failure: AppMetricaError
    while True:
        failures = budget.failures
        try:
            response = connection.get(path)
        except DownloadError as error:
            pause, failure = budget.after_failure(error), error
        else:
            if response.status == HTTPStatus.OK:
                return parse_document(response.text, path)
            pause, failure = budget.after_response(response, clock.monotonic() - began), error_from_response(response)
        if budget.failures > failures and (notice := budget.describe_failure(failure)):
            log.warning(notice)
        clock.sleep(pause)


def _member(document: Any, name: str, path: str) -> Any:
    if not isinstance(document, dict) or name not in document:
        raise DecodeError(f"{path} did not answer with {name!r}: check base_url.")
    return document[name]


def _parse_application(application: Any) -> dict[str, Any]:
    number = _whole_number(application["id"])
    if number is None or not 0 <= number < MAX_ID:
        raise ValueError("an id is not a whole number from 0 to 2^64")
    return {
        "id": number,
        "name": _text(application, "name"),
        "time_zone_name": _text(application, "time_zone_name"),
        "time_zone_offset": _offset(application),
    }


def _text(application: Any, name: str) -> str | None:
    text = application.get(name)
    return replace_surrogates(text) if isinstance(text, str) else None


def _offset(application: Any) -> int | None:
    offset = _whole_number(application.get("time_zone_offset"))
    return offset if offset is not None and abs(offset) < MAX_OFFSET else None


def _whole_number(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _parse_time_zone(application: Any, path: str) -> tzinfo:
    fields = application if isinstance(application, dict) else {}
    zone = parse_zone(_text(fields, "time_zone_name")) or parse_zone(_offset(fields))
    if zone is None:
        raise DecodeError(f"{path} contains no time zone.")
    return zone
