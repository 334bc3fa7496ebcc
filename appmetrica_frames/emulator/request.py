"""Export requests: parameters are checked as the server does, and dates become UNIX seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

from appmetrica_frames.schema.catalog import resources

from .applications import CUSTOM_ATTRIBUTES
from .validation import check_number

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from appmetrica_frames.schema.catalog import Resource

    from .applications import Application


Pairs = tuple[tuple[str, str], ...]

# Documented parameters that select nothing among simulated rows, but are part of the request.
IGNORED_OPTIONS = ("skip_unavailable_shards", "version", "update_timestamp")
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
MAX_DIGITS = 18  # far below the number of digits at which int() raises an error of its own
# Every resource accepts date_dimension: the documentation omits it for postbacks, but Yandex's own loader sends it.
OPTIONS = (
    "application_id",
    "fields",
    "date_since",
    "date_until",
    "date_dimension",
    "limit",
    "use_utf8_bom",
    "parts_count",
    "part_number",
    *IGNORED_OPTIONS,
)
ERROR_TYPES = {
    400: "invalid_parameter",
    401: "unauthorized",
    403: "access_denied",
    404: "not_found",
    405: "not_found",
    500: "backend_error",
}


class ApiError(Exception):
    """An error response, with a JSON body as documented for the Management API."""

    def __init__(
        self, status: int, message: str, *, error_type: str | None = None, location: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_type = error_type or ERROR_TYPES[status]
        self.location = location

    def body(self) -> bytes:
        error = {"error_type": self.error_type, "message": self.message, "location": self.location}
        fields = {name: value for name, value in error.items() if value is not None}
        return json.dumps({"errors": [fields], "code": self.status, "message": self.message}).encode()


def missing_parameter(parameter: str) -> ApiError:
    text = f"Required parameter is missing: {parameter}"
    return ApiError(400, text, error_type="missing_parameter", location=parameter)


def invalid_parameter(parameter: str, value: str, reason: str) -> ApiError:
    return ApiError(400, f"Wrong value of parameter {parameter}: {value!r}, {reason}", location=parameter)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    resource: Resource
    wire_format: Literal["csv", "json"]
    application: Application
    pairs: Pairs
    fields: tuple[str, ...]
    since: int | None
    until: int | None
    by_receive_time: bool
    limit: int | None
    bom: bool
    part: tuple[int, int]
    filters: Pairs

    @property
    def days(self) -> int:
        """The number of days requested; exports without dates count as one."""
        if self.since is None or self.until is None:
            return 1
        return count_days(self.since, self.until, self.application)

    @property
    def key(self) -> tuple[str, str, Pairs]:
        """What makes two requests identical: all parameters, in any order."""
        return self.resource.name, self.wire_format, tuple(sorted(self.pairs))

    @property
    def export_key(self) -> tuple[str, str, Pairs]:
        """What the parts of one export have in common: all parameters but the number of the part."""
        shared = tuple(sorted(pair for pair in self.pairs if pair[0] != "part_number"))
        return self.resource.name, self.wire_format, shared


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What the server rejects besides invalid requests.

    Attributes
    ----------
    rejected_fields
        Known fields that are rejected all the same; the set may change.
    max_days
        The longest range of dates.
    """

    rejected_fields: set[str] = field(default_factory=set)
    max_days: int | None = None

    def __post_init__(self) -> None:
        check_number("max_days", self.max_days, minimum=1)


def parse(file_name: str, pairs: Pairs, application: Application, limits: RequestLimits | None = None) -> ExportRequest:
    limits = limits or RequestLimits()
    resource, wire_format = _parse_address(file_name)
    parameters = dict(pairs)
    _check_names(resource, parameters)
    _parse_boolean(parameters, "skip_unavailable_shards")
    since, until = _parse_dates(resource, parameters, application, limits.max_days)
    return ExportRequest(
        resource=resource,
        wire_format=wire_format,
        application=application,
        pairs=pairs,
        fields=_parse_fields(resource, parameters, limits.rejected_fields),
        since=since,
        until=until,
        by_receive_time=_parse_choice(parameters, "date_dimension", ("default", "receive")) == "receive",
        limit=_parse_integer(parameters, "limit", minimum=1),
        bom=_parse_boolean(parameters, "use_utf8_bom"),
        part=_parse_part(parameters),
        filters=tuple((name, value) for name, value in pairs if name not in OPTIONS),
    )


def _parse_address(file_name: str) -> tuple[Resource, Literal["csv", "json"]]:
    name, _, wire_format = file_name.rpartition(".")
    if name not in resources() or wire_format not in {"csv", "json"}:
        raise ApiError(404, f"Unknown resource: {file_name}")
    return resources()[name], "csv" if wire_format == "csv" else "json"


def list_known_fields(resource: Resource) -> tuple[str, ...]:
    return (*resource.known_fields, *(CUSTOM_ATTRIBUTES if resource.custom_attributes else ()))


def _check_names(resource: Resource, parameters: dict[str, str]) -> None:
    for name in parameters:
        if name not in OPTIONS and name not in list_known_fields(resource):
            raise ApiError(400, f"Undefined parameter: {name}", location=name)


def _parse_fields(resource: Resource, parameters: dict[str, str], rejected: Collection[str]) -> tuple[str, ...]:
    if not parameters.get("fields"):
        raise missing_parameter("fields")
    # A repeated name is not an error: real responses to such requests have the column or key twice.
    names = tuple(parameters["fields"].split(","))
    for name in names:
        if name not in list_known_fields(resource) or name in rejected:
            raise ApiError(400, f"Undefined parameter: {name} in fields", location="fields")
    return names


def _parse_dates(
    resource: Resource, parameters: dict[str, str], application: Application, max_days: int | None
) -> tuple[int | None, int | None]:
    for name in ("date_since", "date_until"):
        if resource.dates and not parameters.get(name):
            raise missing_parameter(name)
    since = _parse_instant(parameters, "date_since", time.min, application)
    until = _parse_instant(parameters, "date_until", time(23, 59, 59), application)
    if since is not None and until is not None:
        _check_range(since, until, parameters["date_until"], application, max_days)
    return since, until


def _check_range(since: int, until: int, stated: str, application: Application, max_days: int | None) -> None:
    if since > until:
        raise invalid_parameter("date_until", stated, "it is before date_since")
    if max_days is not None and count_days(since, until, application) > max_days:
        raise invalid_parameter("date_until", stated, f"the date range is too long: at most {max_days} days")


def count_days(since: int, until: int, application: Application) -> int:
    """Return the number of calendar days that a range covers, in full or in part."""
    first, last = (datetime.fromtimestamp(instant, application.zone).date() for instant in (since, until))
    return (last - first).days + 1


def _parse_instant(
    parameters: dict[str, str], name: str, time_of_bare_day: time, application: Application
) -> int | None:
    if name not in parameters:
        return None
    local = _parse_datetime(parameters[name], time_of_bare_day)
    if local is None:
        raise invalid_parameter(name, parameters[name], "expected yyyy-mm-dd hh:mm:ss")
    return int(local.replace(tzinfo=application.zone).timestamp())


def _parse_datetime(text: str, time_of_bare_day: time) -> datetime | None:
    for pattern, shift in (("%Y-%m-%d %H:%M:%S", time.min), ("%Y-%m-%d", time_of_bare_day)):
        try:
            parsed = datetime.strptime(text, pattern)  # noqa: DTZ007 - the caller adds the application's zone
        except ValueError:
            continue
        return parsed + timedelta(hours=shift.hour, minutes=shift.minute, seconds=shift.second)
    return None


def _parse_choice(parameters: dict[str, str], name: str, choices: Sequence[str]) -> str:
    value = parameters.get(name, choices[0])
    if value not in choices:
        raise invalid_parameter(name, value, f"expected {' or '.join(choices)}")
    return value


def _parse_boolean(parameters: dict[str, str], name: str) -> bool:
    value = parameters.get(name, "false")
    if value.lower() not in BOOLEANS:
        raise invalid_parameter(name, value, "expected true or false")
    return BOOLEANS[value.lower()]


def is_integer(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def _parse_integer(parameters: dict[str, str], name: str, *, minimum: int) -> int | None:
    value = parameters.get(name)
    if value is None:
        return None
    if not is_integer(value) or int(value) < minimum:
        raise invalid_parameter(name, value, f"expected an integer from {minimum}")
    return int(value)


def _parse_part(parameters: dict[str, str]) -> tuple[int, int]:
    count, number = (
        _parse_integer(parameters, "parts_count", minimum=1),
        _parse_integer(parameters, "part_number", minimum=0),
    )
    if count is None and number is None:
        return 0, 1
    if count is None or number is None:
        raise missing_parameter("parts_count" if count is None else "part_number")
    if number >= count:
        raise invalid_parameter("part_number", str(number), f"expected less than parts_count={count}")
    return number, count
