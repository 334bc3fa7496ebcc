"""Export requests: parameters are checked as the server does, and dates become UNIX seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

from appmetrica_frames.schema.catalog import resources

from .applications import CUSTOM_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.schema.catalog import Resource

    from .applications import Application


Pairs = tuple[tuple[str, str], ...]

# Documented parameters that select nothing among simulated rows, but are part of the request.
IGNORED_OPTIONS = ("skip_unavailable_shards", "version", "update_timestamp")
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
    def key(self) -> tuple[str, str, Pairs]:
        """What makes two requests identical: all parameters, in any order."""
        return self.resource.name, self.wire_format, tuple(sorted(self.pairs))

    @property
    def export_key(self) -> tuple[str, str, Pairs]:
        """What the parts of one export have in common: all parameters but the number of the part."""
        shared = tuple(sorted(pair for pair in self.pairs if pair[0] != "part_number"))
        return self.resource.name, self.wire_format, shared


def parse(file_name: str, pairs: Pairs, application: Application) -> ExportRequest:
    resource, wire_format = _parse_address(file_name)
    parameters = dict(pairs)
    _check_names(resource, parameters)
    since, until = _parse_dates(resource, parameters, application)
    return ExportRequest(
        resource=resource,
        wire_format=wire_format,
        application=application,
        pairs=pairs,
        fields=_parse_fields(resource, parameters),
        since=since,
        until=until,
        by_receive_time=_parse_choice(parameters, "date_dimension", ("default", "receive")) == "receive",
        limit=_parse_integer(parameters, "limit", minimum=1),
        bom=_parse_choice(parameters, "use_utf8_bom", ("false", "true")) == "true",
        part=_parse_part(parameters),
        filters=tuple((name, value) for name, value in pairs if name not in OPTIONS),
    )


def _parse_address(file_name: str) -> tuple[Resource, Literal["csv", "json"]]:
    name, _, wire_format = file_name.rpartition(".")
    if name not in resources() or wire_format not in {"csv", "json"}:
        raise ApiError(404, f"Unknown resource: {file_name}")
    return resources()[name], "csv" if wire_format == "csv" else "json"


def list_known_fields(resource: Resource) -> tuple[str, ...]:
    return (*resource.fields, *(CUSTOM_ATTRIBUTES if resource.custom_attributes else ()))


def _check_names(resource: Resource, parameters: dict[str, str]) -> None:
    for name in parameters:
        if name not in OPTIONS and name not in list_known_fields(resource):
            raise ApiError(400, f"Undefined parameter: {name}", location=name)
    if "date_dimension" in parameters and not resource.date_dimension:
        raise ApiError(400, "Undefined parameter: date_dimension", location="date_dimension")


def _parse_fields(resource: Resource, parameters: dict[str, str]) -> tuple[str, ...]:
    if not parameters.get("fields"):
        raise missing_parameter("fields")
    names = tuple(parameters["fields"].split(","))
    for name in names:
        if name not in list_known_fields(resource):
            raise ApiError(400, f"Undefined parameter: {name} in fields", location="fields")
    if len(set(names)) < len(names):
        raise invalid_parameter("fields", parameters["fields"], "a field is named twice")
    return names


def _parse_dates(
    resource: Resource, parameters: dict[str, str], application: Application
) -> tuple[int | None, int | None]:
    for name in ("date_since", "date_until"):
        if resource.dates and not parameters.get(name):
            raise missing_parameter(name)
    since = _parse_instant(parameters, "date_since", time.min, application)
    until = _parse_instant(parameters, "date_until", time(23, 59, 59), application)
    if since is not None and until is not None and since > until:
        raise invalid_parameter("date_until", parameters["date_until"], "it is before date_since")
    return since, until


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


def _parse_integer(parameters: dict[str, str], name: str, *, minimum: int) -> int | None:
    value = parameters.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and int(value) >= minimum):
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
