"""One immutable, validated export request: its query string and its keys in the cache."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args

from appmetrica_frames.errors import InvalidRequestError, did_you_mean
from appmetrica_frames.schema import catalog

from .dates import Moment, describe_range, parse_date_range, refuse_dates
from .part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import tzinfo

    import pyarrow as pa

KEY_VERSION = 2
REQUEST_KEY_LENGTH = 32
FIELDS_KEY_LENGTH = 16
MAX_ID_DIGITS = 20
MAX_EXCERPT = 100  # characters of a wrong value in a message
DateDimension: TypeAlias = Literal["default", "receive"]
WireFormat: TypeAlias = Literal["csv", "json"]
FilterValue: TypeAlias = str | int | bool
ApplicationIds: TypeAlias = int | str | Sequence[int | str]
"""The number of an application, or of several."""

FieldNames: TypeAlias = list[str] | tuple[str, ...]
"""Names of fields; a single text is not a list of names, and type checkers say so."""
Choice = TypeVar("Choice", bound=str)

# Fields that are requested beside a single one (see `ExportRequest.wire_fields`); every resource has two of them.
PADDING_FIELDS = ("appmetrica_device_id", "os_version", "city")

# Parameters of the query string that are not row filters.
RESERVED_PARAMETERS = frozenset(
    {
        "application_id",
        "date_dimension",
        "date_since",
        "date_until",
        "fields",
        "limit",
        "oauth_token",
        "part_number",
        "parts_count",
        "skip_unavailable_shards",
        "update_timestamp",
        "use_utf8_bom",
        "version",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """An export as it is requested from the server, in canonical form, and the columns that the caller wants.

    Attributes
    ----------
    params
        The wire parameters without ``fields``, sorted.
    fields
        The columns that the caller wants, in that order.
    overrides
        Fields whose type the caller chose, with that Arrow type.
    is_limited
        Whether the rows are capped; which rows a cap leaves is up to the server.
    """

    resource: str
    params: tuple[tuple[str, str], ...]
    fields: tuple[str, ...]
    overrides: Mapping[str, pa.DataType] = field(default_factory=dict)
    is_limited: bool = False
    wire_format: WireFormat = "csv"

    @property
    def path(self) -> str:
        """The path of the export's address."""
        return f"/logs/v1/export/{self.resource}.{self.wire_format}"

    @property
    def wire_fields(self) -> tuple[str, ...]:
        """The fields that are requested: sorted, and never a single one.

        In a file of one column, an empty cell is an empty line, and a missing last line end hides it. A second column
        makes every row visible.
        """
        if len(self.fields) > 1:
            return tuple(sorted(self.fields))
        others = (name for name in PADDING_FIELDS if name not in self.fields)
        documented = catalog.resource(self.resource).fields
        return tuple(sorted({*self.fields, next(name for name in others if name in documented)}))

    def arrow_type(self, name: str) -> pa.DataType:
        """Return the type that a column has if it fits: the caller's choice, else the catalogue's."""
        from appmetrica_frames.schema.types import get_arrow_type  # not for a request alone: it needs Arrow

        if name in self.overrides:
            return self.overrides[name]
        return get_arrow_type(catalog.resource(self.resource).wire_type(name))

    @property
    def title(self) -> str:
        """What the export is called in logs and progress, as in ``events of 1111, 2024-07-01 to 2024-07-07``."""
        subject = f"{self.resource} of {self.application_id}"
        return f"{subject}, {self.period}" if self.period else subject

    @property
    def period(self) -> str:
        """The dates of the export, as in ``2024-07-01 to 2024-07-07``; empty where it has none."""
        params = dict(self.params)
        return describe_range(params["date_since"], params["date_until"]) if "date_since" in params else ""

    def without(self, names: Collection[str]) -> ExportRequest:
        """Return the request without some of its fields."""
        return replace(self, fields=tuple(name for name in self.fields if name not in names))

    def query(self, part: Part = WHOLE) -> tuple[tuple[str, str], ...]:
        """Return the pairs of the query string, for the whole export or a part of it."""
        whole = (*self.params, ("fields", ",".join(self.wire_fields)))
        if part.count == 1:
            return whole
        return (*whole, ("parts_count", str(part.count)), ("part_number", str(part.number)))

    @property
    def application_id(self) -> int:
        """The application whose data is asked for."""
        return int(dict(self.params)["application_id"])

    def request_key(self, origin: str) -> str:
        """Return the key that this request shares with those that differ from it in nothing but their fields."""
        text = json.dumps(self._key_parts(origin), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return _digest(text, REQUEST_KEY_LENGTH)

    def fields_key(self) -> str:
        """Return the key of the fields that are requested."""
        return _digest(",".join(self.wire_fields), FIELDS_KEY_LENGTH)

    def key(self, origin: str) -> str:
        """Return the key of the export in the cache; the token is no part of it."""
        return f"{self.request_key(origin)}-{self.fields_key()}"

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain values, for people and for `json`."""
        return {
            "resource": self.resource,
            "wire_format": self.wire_format,
            **dict(self.params),
            "fields": list(self.wire_fields),
        }

    def _key_parts(self, origin: str) -> dict[str, Any]:
        return {
            "version": KEY_VERSION,
            "origin": origin,
            "resource": self.resource,
            "format": self.wire_format,
            "params": self.params,
            "overrides": sorted((name, str(chosen)) for name, chosen in self.overrides.items()),
        }


def build_request(
    resource: str,
    *,
    application_id: int | str,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: Iterable[str] | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    schema_overrides: Mapping[str, object] | None = None,
    now: float,
    zone: Callable[[int], tzinfo],
) -> ExportRequest:
    """Validate the parameters of a call against the catalogue; raise `InvalidRequestError` before anything is sent.

    Relative dates are relative to `now`, in UNIX seconds. `zone` looks up an application's time zone; it is called only
    where the dates carry one or are relative.
    """
    kind = catalog.resource(resource)
    declared = frozenset(schema_overrides or ())
    wanted = _check_fields(kind, fields, declared)
    number = _parse_application_id(application_id)
    params = {"application_id": str(number)}
    if kind.dates:
        params["date_since"], params["date_until"] = parse_date_range(
            date_since, date_until, resource=resource, now=now, zone=lambda: zone(number)
        )
    else:
        refuse_dates(date_since, date_until, resource=resource)
    params |= _build_date_dimension(kind, date_dimension)
    if limit is not None:
        params["limit"] = str(_check_positive(limit, name="limit"))
    if _check_flag(skip_unavailable_shards, name="skip_unavailable_shards"):
        params["skip_unavailable_shards"] = "true"
    chosen = _build_filters(kind, filters or {}, declared)
    if unused := declared - set(wanted) - set(chosen):
        raise InvalidRequestError(f"schema_overrides names {sorted(unused)}, which are not among the requested fields.")
    return ExportRequest(
        resource=resource,
        params=tuple(sorted((params | chosen).items())),
        fields=wanted,
        overrides=_build_overrides(kind, schema_overrides or {}),
        is_limited=limit is not None,
        wire_format=check_choice(wire_format, get_args(WireFormat), name="wire_format"),
    )


def _check_fields(kind: catalog.Resource, fields: Iterable[str] | None, declared: frozenset[str]) -> tuple[str, ...]:
    if fields is None:
        return (*kind.fields, *sorted(declared - set(kind.fields)))
    if isinstance(fields, str):
        raise InvalidRequestError(f"fields takes a list of names: write fields={_split_names(fields)!r}.")
    wanted = tuple(fields)
    if not wanted:
        raise InvalidRequestError("fields is empty: name at least one, or leave it out for every documented field.")
    for name in wanted:
        _check_field(kind, name, declared)
    if repeated := sorted({name for name in wanted if wanted.count(name) > 1}):
        raise InvalidRequestError(f"fields names {', '.join(map(repr, repeated))} more than once.")
    return wanted


def _split_names(text: str) -> list[str]:
    """Return the names in a text like ``a, b``."""
    return [name.strip() for name in text.split(",") if name.strip()] or [text]


def _check_field(kind: catalog.Resource, name: object, declared: frozenset[str]) -> None:
    if isinstance(name, str) and "," in name:
        names = ", ".join(map(repr, _split_names(name)))
        raise InvalidRequestError(f"A field name is a text without commas, not {name!r}: write {names}.")
    if not isinstance(name, str) or not name.strip():
        raise InvalidRequestError(f"A field name is a text without commas, not {name!r}.")
    if name in kind.known_fields or name in declared:
        return
    legacy = " Only older documentation has it." if name in kind.legacy_fields else ""
    custom = "a custom profile attribute or " if kind.custom_attributes else ""
    raise InvalidRequestError(
        f"{kind.name} has no documented field {name!r}.{legacy}{did_you_mean(name, kind.known_fields)} "
        f"If it is {custom}a field newer than this catalogue, declare its type: "
        f"schema_overrides={{{name!r}: 'string'}}."
    )


def parse_application_ids(value: ApplicationIds, *, name: str = "application_id") -> list[int]:
    """Return the numbers of the applications of a call; `name` is what an error calls their parameter."""
    if isinstance(value, (str, int)) or not isinstance(value, Iterable):
        return [_parse_application_id(value, name)]
    numbers = [_parse_application_id(number, name) for number in value]
    if not numbers:
        raise InvalidRequestError(f"{name} is an empty list: name at least one application.")
    if repeated := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise InvalidRequestError(f"{name} names {', '.join(map(str, repeated))} more than once.")
    return numbers


def _parse_application_id(value: int | str, name: str = "application_id") -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_ID_DIGITS:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**MAX_ID_DIGITS:
        raise InvalidRequestError(
            f"{name} is the application's number in AppMetrica (not its SDK or API key), "
            f"not {_excerpt(value)}. "
            "You find it in the application's settings and in the address of its pages."
        )
    return value


def _build_date_dimension(kind: catalog.Resource, value: DateDimension) -> dict[str, str]:
    check_choice(value, get_args(DateDimension), name="date_dimension")
    # Documents leave it out for some resources; other clients send it for these as well, and the server takes it.
    return {"date_dimension": value} if kind.date_dimension or value != "default" else {}


def _build_filters(
    kind: catalog.Resource, filters: Mapping[str, FilterValue], declared: frozenset[str]
) -> dict[str, str]:
    if not isinstance(filters, Mapping):
        raise InvalidRequestError(f"filters takes a dict, as in filters={{'country_iso_code': 'RU'}}, not {filters!r}.")
    for name in filters:
        if name in RESERVED_PARAMETERS:
            raise InvalidRequestError(f"{name!r} is a parameter of the request, not a field to filter by.")
        _check_field(kind, name, declared)
    return {name: _format_filter_value(name, value) for name, value in filters.items()}


def _format_filter_value(name: str, value: FilterValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value != "" and (isinstance(value, str) or (isinstance(value, int) and abs(value) < 10**MAX_ID_DIGITS)):
        return str(value)
    raise InvalidRequestError(
        f"filters[{name!r}] takes one text, whole number or bool, "
        f"not {_excerpt(value)}. "
        "the server compares for equality with one value only."
    )


def check_choice(value: Choice, choices: tuple[Choice, ...], *, name: str) -> Choice:
    if value not in choices:
        raise InvalidRequestError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}.")
    return value


def _check_positive(value: int, *, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**MAX_ID_DIGITS:
        raise InvalidRequestError(f"{name} takes a whole number from 1, not {_excerpt(value)}.")
    return value


def _check_flag(value: bool, *, name: str) -> bool:  # noqa: FBT001 - checked because users pass texts like "false"
    if not isinstance(value, bool):
        raise InvalidRequestError(f"{name} takes True or False, not {value!r}.")
    return value


def _build_overrides(kind: catalog.Resource, chosen: Mapping[str, object]) -> dict[str, pa.DataType]:
    if not chosen:
        return {}
    from appmetrica_frames.schema.types import Column, parse_override

    types = {name: parse_override(name, type_) for name, type_ in chosen.items()}
    for name, type_ in types.items():
        Column(name, kind.wire_type(name), type_)  # refuses what its text cannot become
    return types


def _excerpt(value: object) -> str:
    """Return the repr of a value, cut; Python refuses to write very long integers."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= MAX_EXCERPT else f"{text[:MAX_EXCERPT]}…"


def _digest(text: str, length: int) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
