"""Answers that are errors: a status, and a JSON body in the shape that the Management API documents."""

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


TYPES = {
    400: "invalid_parameter",
    401: "unauthorized",
    403: "access_denied",
    404: "not_found",
    405: "not_found",
    500: "backend_error",
}


class Refusal(Exception):  # noqa: N818 - it is an answer that travels as an exception, not a fault of ours
    """A request that gets an error status, with the description for its body."""

    def __init__(
        self, status: int, message: str, *, error_type: str | None = None, location: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_type = error_type or TYPES[status]
        self.location = location

    def body(self) -> bytes:
        error = {"error_type": self.error_type, "message": self.message, "location": self.location}
        stated = {word: value for word, value in error.items() if value is not None}
        return json.dumps({"errors": [stated], "code": self.status, "message": self.message}).encode()


def missing(parameter: str) -> Refusal:
    text = f"Required parameter is missing: {parameter}"
    return Refusal(400, text, error_type="missing_parameter", location=parameter)


def invalid(parameter: str, value: str, why: str) -> Refusal:
    return Refusal(400, f"Wrong value of parameter {parameter}: {value!r}, {why}", location=parameter)


Pairs = tuple[tuple[str, str], ...]

# Options of the documentation that select nothing among simulated rows: they are part of the request all the same.
WITHOUT_EFFECT = ("skip_unavailable_shards", "version", "update_timestamp")
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
    *WITHOUT_EFFECT,
)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    resource: Resource
    wire_format: Literal["csv", "json"]
    application: Application
    pairs: Pairs
    fields: tuple[str, ...]
    since: int | None
    until: int | None
    by_receipt: bool
    limit: int | None
    bom: bool
    part: tuple[int, int]
    filters: Pairs

    @property
    def key(self) -> tuple[str, str, Pairs]:
        """What makes two requests identical: everything asked, in whatever order."""
        return self.resource.name, self.wire_format, tuple(sorted(self.pairs))

    @property
    def family(self) -> tuple[str, str, Pairs]:
        """What the parts of one export have in common."""
        shared = tuple(sorted(pair for pair in self.pairs if pair[0] != "part_number"))
        return self.resource.name, self.wire_format, shared


def parse(file_name: str, pairs: Pairs, application: Application) -> ExportRequest:
    resource, wire_format = _address(file_name)
    given = dict(pairs)
    _refuse_strangers(resource, given)
    since, until = _dates(resource, given, application)
    return ExportRequest(
        resource=resource,
        wire_format=wire_format,
        application=application,
        pairs=pairs,
        fields=_fields(resource, given),
        since=since,
        until=until,
        by_receipt=_choice(given, "date_dimension", ("default", "receive")) == "receive",
        limit=_whole(given, "limit", least=1),
        bom=_choice(given, "use_utf8_bom", ("false", "true")) == "true",
        part=_part(given),
        filters=tuple((name, value) for name, value in pairs if name not in OPTIONS),
    )


def _address(file_name: str) -> tuple[Resource, Literal["csv", "json"]]:
    name, _, wire_format = file_name.rpartition(".")
    if name not in resources() or wire_format not in {"csv", "json"}:
        raise Refusal(404, f"Unknown resource: {file_name}")
    return resources()[name], "csv" if wire_format == "csv" else "json"


def known_fields(resource: Resource) -> tuple[str, ...]:
    return (*resource.fields, *(CUSTOM_ATTRIBUTES if resource.custom_attributes else ()))


def _refuse_strangers(resource: Resource, given: dict[str, str]) -> None:
    for name in given:
        if name not in OPTIONS and name not in known_fields(resource):
            raise Refusal(400, f"Undefined parameter: {name}", location=name)
    if "date_dimension" in given and not resource.date_dimension:
        raise Refusal(400, "Undefined parameter: date_dimension", location="date_dimension")


def _fields(resource: Resource, given: dict[str, str]) -> tuple[str, ...]:
    if not given.get("fields"):
        raise missing("fields")
    names = tuple(given["fields"].split(","))
    for name in names:
        if name not in known_fields(resource):
            raise Refusal(400, f"Undefined parameter: {name} in fields", location="fields")
    if len(set(names)) < len(names):
        raise invalid("fields", given["fields"], "a field is named twice")
    return names


def _dates(resource: Resource, given: dict[str, str], application: Application) -> tuple[int | None, int | None]:
    for name in ("date_since", "date_until"):
        if resource.dates and not given.get(name):
            raise missing(name)
    since = _instant(given, "date_since", time.min, application)
    until = _instant(given, "date_until", time(23, 59, 59), application)
    if since is not None and until is not None and since > until:
        raise invalid("date_until", given["date_until"], "it is before date_since")
    return since, until


def _instant(given: dict[str, str], name: str, of_bare_day: time, application: Application) -> int | None:
    if name not in given:
        return None
    moment = _moment(given[name], of_bare_day)
    if moment is None:
        raise invalid(name, given[name], "expected yyyy-mm-dd hh:mm:ss")
    return int(moment.replace(tzinfo=application.zone).timestamp())


def _moment(text: str, of_bare_day: time) -> datetime | None:
    for form, shift in (("%Y-%m-%d %H:%M:%S", time.min), ("%Y-%m-%d", of_bare_day)):
        try:
            read = datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the application's zone
        except ValueError:
            continue
        return read + timedelta(hours=shift.hour, minutes=shift.minute, seconds=shift.second)
    return None


def _choice(given: dict[str, str], name: str, choices: Sequence[str]) -> str:
    value = given.get(name, choices[0])
    if value not in choices:
        raise invalid(name, value, f"expected {' or '.join(choices)}")
    return value


def _whole(given: dict[str, str], name: str, *, least: int) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and int(value) >= least):
        raise invalid(name, value, f"expected a whole number from {least}")
    return int(value)


def _part(given: dict[str, str]) -> tuple[int, int]:
    count, number = _whole(given, "parts_count", least=1), _whole(given, "part_number", least=0)
    if count is None and number is None:
        return 0, 1
    if count is None or number is None:
        raise missing("parts_count" if count is None else "part_number")
    if number >= count:
        raise invalid("part_number", str(number), f"expected less than parts_count={count}")
    return number, count
